"""Which program this is, by the content of its files: a ConfigMap can be edited under a job that runs."""

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 20
"""Of one file: a ConfigMap holds no larger one, and what is larger in an image is data."""
MOST_FILES = 1000
SCRIPT = ".py"
CURRENT = "..data"
"""The link by which a kubelet replaces all of a ConfigMap's files at once."""


class ProgramFiles:
    """What a program was started from. Who is kept out for it begins again as soon as that has changed: the
    edit of a ConfigMap may have been undone."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._command, self._directory = command, directory
        self._noted = ""

    async def note(self) -> str:
        """As a program is started now."""
        self._noted = await self._fingerprint()
        return self._noted

    async def changed(self) -> bool:
        """Since then."""
        changed = await self._fingerprint() != self._noted
        if changed:
            log.info("the program's files have changed since it was started")
        return changed

    async def _fingerprint(self) -> str:
        return await asyncio.to_thread(fingerprint, self._command, self._directory)


def fingerprint(command: Sequence[str], directory: Path) -> str:
    """Hash of the program's files, names and contents; empty where there are none, or one cannot be read.

    Not of the command itself: it cannot be changed in a job, and may name its node. Nor of what is no
    script outside of `directory`: interpreters differ between architectures.
    """
    while True:
        version = _version(directory)
        found = _hash(command, directory)
        if _version(directory) == version:
            return found


def _version(directory: Path) -> str:
    link = directory / CURRENT
    return str(link.readlink()) if link.is_symlink() else ""


def _hash(command: Sequence[str], directory: Path) -> str:
    digest, count = hashlib.sha256(), 0
    try:
        for name, file in _files(command, directory):
            if file.stat().st_size <= MOST_BYTES:
                content = file.read_bytes()
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
                count += 1
    except OSError:
        return ""
    return digest.hexdigest()[:16] if count else ""


def _files(command: Sequence[str], directory: Path) -> Iterator[tuple[str, Path]]:
    """Each with a name that is the same on all nodes."""
    own = (p for p in directory.rglob("*") if not _hidden(p.relative_to(directory)) and p.is_file())
    for file in sorted(own)[:MOST_FILES]:
        yield str(file.relative_to(directory)), file
    for word in command:
        script = Path(word)
        if word.endswith(SCRIPT) and directory not in script.parents and script.is_file():
            yield word, script


def _hidden(path: Path) -> bool:
    """What a kubelet or an interpreter has put beside the files."""
    return any(part.startswith("..") or part == "__pycache__" for part in path.parts)
