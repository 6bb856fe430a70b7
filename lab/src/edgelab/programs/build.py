"""Building programs from their pinned Go modules, with progress."""

import os
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from edgelab.errors import LabError
from edgelab.programs.pinned import Module
from edgelab.shell import Argument, run

_USUAL_PLACE = Path("/usr/local/go/bin/go")
_TELL_SECONDS = 5.0
_LAST_WORDS = 15
_LIST_SECONDS = 600.0

Say = Callable[[str], None]


def build(module: Module, names: list[str], say: Say) -> None:
    """Build these programs into the module's cache.

    Raises:
        LabError: no Go, or the build failed; the text ends with the compiler's last words.
    """
    go = _find_go(names)
    packages = [module.programs[name] for name in names]
    say(f"building {', '.join(names)} from source with {go}: minutes the first time, never again")
    with tempfile.TemporaryDirectory(dir=module.cache) as drafts:
        for name, package in zip(names, packages, strict=True):
            output = Path(drafts, name)
            flags = [
                "-v",
                "-trimpath",
                "-tags",
                module.tags,
                "-ldflags",
                module.link_flags,
                "-o",
                str(output),
            ]
            _run_go([go, "build", *flags, package], module, name, say)
            output.replace(module.cache / name)


def source(module: Module, of: str) -> Path:
    """Where the source lies of what this module requires: it holds more than programs. Downloads what is
    missing.

    Raises:
        LabError: no Go, or it is out of reach.
    """
    go: list[Argument] = [_find_go([of]), "-C", module.directory]
    run([*go, "mod", "download", of], timeout=_LIST_SECONDS)
    return Path(run([*go, "list", "-m", "-f", "{{.Dir}}", of]).strip())


def _find_go(names: list[str]) -> str:
    if found := shutil.which("go") or (_USUAL_PLACE.exists() and str(_USUAL_PLACE)):
        return found
    raise LabError(
        f"{', '.join(names)}: neither can the releases be reached nor is Go installed. Install Go 1.26 or "
        "later from https://go.dev/dl, or name a directory that holds them in KUBEBUILDER_ASSETS"
    )


def _run_go(argv: list[str], module: Module, name: str, say: Say) -> None:
    """Run a build that names each package as it compiles it, and tell now and then how far it is."""
    environment = os.environ | {"CGO_ENABLED": str(int(module.cgo)), "GOFLAGS": "-mod=readonly"}
    total = _count_packages(argv[0], module, name)
    began = told = time.monotonic()
    compiled, last = 0, deque[str](maxlen=_LAST_WORDS)
    with subprocess.Popen(
        argv, cwd=module.directory, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for line in process.stderr:
            last.append(line.rstrip())
            compiled += not line.startswith(("go:", "#", "\t"))
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                say(f"  {name}: {compiled} packages compiled, of {total} at most, {told - began:.0f} s")
    if process.returncode:
        raise LabError("\n".join([f"building {name} failed:", *last]))
    say(f"  {name}: done in {time.monotonic() - began:.0f} s")


def _count_packages(go: str, module: Module, name: str) -> int:
    """How many packages it is made of; downloads the modules that are missing."""
    arguments = ["list", "-deps", "-tags", module.tags, module.programs[name]]
    listed = run([go, "-C", module.directory, *arguments], timeout=_LIST_SECONDS)
    return len(listed.splitlines())
