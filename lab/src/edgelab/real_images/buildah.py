"""Running buildah, which needs neither a daemon nor a registry, on a storage of the lab's own."""

import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgelab.errors import LabError
from edgelab.shell import Argument, run, succeeds

_LAST_WORDS = 15
_COPY_SECONDS = 900.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Buildah:
    """`home`: where it keeps layers, which a later build takes up again."""

    home: Path

    def has(self, image: str) -> bool:
        return succeeds(self._argv("inspect", "--type", "image", image))

    def commit_tree(self, root: Path, image: str) -> None:
        """Make an image of one layer from a directory."""
        container = run(self._argv("from", "scratch")).strip()
        try:
            run(self._argv("copy", "--quiet", container, root, "/"), timeout=_COPY_SECONDS)
            run(self._argv("commit", "--quiet", container, image), timeout=_COPY_SECONDS)
        finally:
            run(self._argv("rm", container))

    def build(self, image: str, context: Path, dockerfile: str, options: Sequence[str], say: Say) -> None:
        """Build a Dockerfile, telling each step.

        Raises:
            LabError: it failed; the text ends with the build's last words.
        """
        words = ["build", "--layers", "--pull=false", "--isolation", "chroot", "--tag", image, *options]
        argv = self._argv(*words, "--file", context / dockerfile, context)
        began, last = time.monotonic(), deque[str](maxlen=_LAST_WORDS)
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                last.append(line.rstrip())
                if "STEP " in line:
                    say(f"  {time.monotonic() - began:4.0f} s  {line.rstrip().replace('&&', ' ')[:100]}")
        if process.returncode:
            raise LabError("\n".join([f"building {image} failed:", *last]))

    def save(self, image: str, archive: Path) -> None:
        """Write an image as `docker save` does."""
        run(self._argv("push", "--quiet", image, f"docker-archive:{archive}:{image}"), timeout=_COPY_SECONDS)

    def _argv(self, *words: Argument) -> list[str]:
        places = ["--root", self.home / "storage", "--runroot", self.home / "run"]
        return [str(word) for word in ("buildah", *places, "--storage-driver", "overlay", *words)]
