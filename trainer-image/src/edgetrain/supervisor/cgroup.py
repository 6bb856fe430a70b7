"""What the kernel's accounts say of this container's memory, by cgroup version 2 or 1.

The kernel may kill the program alone: then the container lives on, and no kubelet calls it OOMKilled.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("EDGETRAIN_CGROUP", "/sys/fs/cgroup"))
OWN = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
"""Version 1 has no word for it: its largest number, cut to whole pages."""


@dataclass(frozen=True)
class Memory:
    kills: int
    """Processes of the container that were killed for want of memory, since it began."""
    limit: int | None
    """Bytes; None where the container itself has none."""
    peak: int | None
    """Bytes, the most that was ever in use; None where the kernel does not tell."""

    def __str__(self) -> str:
        limit = "no limit of its own" if self.limit is None else f"a limit of {_mebibytes(self.limit)}"
        return limit if self.peak is None else f"{limit}, {_mebibytes(self.peak)} in use at most"


class Killings:
    """Tells whether the kernel has killed for memory since this was asked last."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        first = read_memory(root)
        self._kills = first.kills if first else 0

    def new(self) -> Memory | None:
        """The account where it has."""
        now = read_memory(self._root)
        before, self._kills = self._kills, now.kills if now else self._kills
        return now if now and now.kills > before else None


def read_memory(root: Path = ROOT, own: Path = OWN) -> Memory | None:
    """The account as it is now; None where there is none to be read."""
    paths = own_paths(_text(own))
    for directory in _places(root, paths.get("", "")):
        if events := _text(directory / "memory.events"):
            limit, peak = _text(directory / "memory.max"), _text(directory / "memory.peak")
            return parse(events, limit, peak)
    for directory in _places(root / "memory", paths.get("memory", "")):
        if events := _text(directory / "memory.oom_control"):
            limit = _text(directory / "memory.limit_in_bytes")
            return parse(events, limit, _text(directory / "memory.max_usage_in_bytes"))
    return None


def parse(events: str, limit: str, peak: str) -> Memory:
    """From the contents of the files, in which both versions agree; what is missing is empty."""
    counts = dict(line.split(maxsplit=1) for line in events.splitlines() if " " in line)
    bound = _number(limit)
    return Memory(
        kills=_number(counts.get("oom_kill", "")) or 0,
        limit=None if bound is None or bound >= UNLIMITED else bound,
        peak=_number(peak),
    )


def own_paths(text: str) -> dict[str, str]:
    """/proc/self/cgroup: controller -> path, version 2 under the empty name."""
    lines = (line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2)
    return {controller: path for _, names, path in lines for controller in names.split(",")}


def _places(root: Path, path: str) -> Iterator[Path]:
    """A container is shown its own group as the root, or the whole tree with its own in it."""
    if path.strip("/") and ".." not in path:
        yield root / path.strip("/")
    yield root


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB"
