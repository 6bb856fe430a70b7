"""The base image where none can be pulled: a small Debian with Python, from the distribution's packages."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgelab.real_images.buildah import Buildah
from edgelab.real_images.recipe import LEFT_OUT, PACKAGES, SUITE, base_fingerprint
from edgelab.shell import run

_SECONDS = 900.0


def make_base(buildah: Buildah, say: Callable[[str], None]) -> str:
    """The base image's name; made where it is not there yet.

    Raises:
        LabError: Debian's packages cannot be had.
    """
    image = f"localhost/edgelab-base:{base_fingerprint()}"
    if buildah.has(image):
        return image
    say(f"  a base image: Debian {SUITE} with {', '.join(PACKAGES)}")
    with tempfile.TemporaryDirectory(dir=buildah.home) as drafts:
        root = Path(drafts, "root")
        options = ["--force-check-gpg", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        run(["debootstrap", *options, SUITE, root], timeout=_SECONDS)
        _slim(root)
        buildah.commit_tree(root, image)
    return image


def _slim(root: Path) -> None:
    """Remove what no container needs. Directories stay, as packages expect them."""
    for pattern in LEFT_OUT:
        for path in root.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
                path.mkdir()
            else:
                path.unlink()
