"""A node's control groups, in version 1 hierarchies or the version 2 tree, whichever the machine has.

A node holds two groups: `daemons`, and `pods`, which is its kubelet's root and carries the processor quota.
The quota leaves the daemons out: they are the lab's own cost, not the device's.
"""

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgelab.errors import LabError

MOUNTS = Path("/proc/self/mounts")
PODS, DAEMONS = "pods", "daemons"
_ROOT = "edgelab"
_PERIOD_US = 100_000
_REMOVE_SECONDS = 10.0
_ATTEMPTS = 5


@dataclass(frozen=True)
class Hierarchies:
    """Where control groups are mounted. `controllers` maps a v1 controller to its mount; empty with v2."""

    unified: Path | None
    controllers: dict[str, Path] = field(default_factory=dict)

    @property
    def roots(self) -> list[Path]:
        # With both mounted, runc joins the version 2 tree too, though it has no controllers there.
        return sorted({*self.controllers.values(), *([self.unified] if self.unified else [])})


def find_hierarchies(mounts: Path = MOUNTS) -> Hierarchies:
    """Read them from the machine's table of mounts.

    Raises:
        LabError: none is mounted.
    """
    unified, controllers = None, {}
    for line in mounts.read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            unified = Path(place)
        elif kind == "cgroup":
            controllers[_controller(options.split(","))] = Path(place)
    if not (unified or controllers):
        raise LabError(
            "no control groups are mounted below /sys/fs/cgroup: mount them, or use another machine"
        )
    return Hierarchies(unified, controllers)


def pods_group(lab: str, node: str) -> str:
    """Name of the group of a node's pods, as its kubelet's configuration wants it."""
    return f"/{_ROOT}/{lab}/{node}/{PODS}"


def create(where: Hierarchies, lab: str, node: str, cpu: float | None) -> list[Path]:
    """Make a node's groups and set its quota (in cores). Returns the groups that its daemons shall join."""
    for root in where.roots:
        for group in (PODS, DAEMONS):
            _make_for_sure(root, Path(_ROOT, lab, node, group), is_v2=root == where.unified)
    _set_quota(where, Path(pods_group(lab, node).lstrip("/")), cpu)
    # With version 1 the daemons stay where their caller is: nothing needs them moved.
    return [] if where.controllers or not where.unified else [where.unified / _ROOT / lab / node / DAEMONS]


def members(where: Hierarchies, lab: str, node: str | None = None) -> Iterator[Path]:
    """All groups of a lab or of one node, in every hierarchy."""
    for root in where.roots:
        top = root / _ROOT / lab / (node or "")
        if top.is_dir():
            yield top
            yield from (path for path in top.rglob("*") if path.is_dir())


def processes(where: Hierarchies, lab: str, node: str | None = None) -> set[int]:
    """Every process in these groups, by the machine's own numbers."""
    found: set[int] = set()
    for group in members(where, lab, node):
        try:
            found.update(map(int, (group / "cgroup.procs").read_text().split()))
        except OSError as gone:
            if gone.errno not in (errno.ENOENT, errno.ENODEV):
                raise
    return found


def remove(where: Hierarchies, lab: str, node: str | None = None) -> None:
    """Remove a node's groups, or the lab's, deepest first. Their processes must have ended.

    Raises:
        LabError: a group stays in use.
    """
    deadline = time.monotonic() + _REMOVE_SECONDS
    while left := [group for group in _deepest_first(where, lab, node) if not _removed(group)]:
        if time.monotonic() > deadline:
            raise LabError(f"{left[0]} is still in use: end its processes and run `edgelab down` again")
        time.sleep(0.02)
    if node is None:
        for root in where.roots:
            _removed(root / _ROOT)


def container_processes(where: Hierarchies, lab: str, node: str, container_id: str) -> list[int]:
    """Processes of one container, by the machine's own numbers; the first of its namespace leads."""
    for group in members(where, lab, node):
        if container_id in group.name:
            pids = list(map(int, (group / "cgroup.procs").read_text().split()))
            if pids:
                return sorted(pids, key=_depth_number)
    return []


def _deepest_first(where: Hierarchies, lab: str, node: str | None) -> list[Path]:
    return sorted(members(where, lab, node), key=lambda path: len(path.parts), reverse=True)


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _depth_number(pid: int) -> int:
    """The process's number in its innermost namespace: 1 for the one that the container was started with."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 1 << 30
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def _controller(options: list[str]) -> str:
    names = [
        o for o in options if o not in ("rw", "ro", "nosuid", "nodev", "noexec") and not o.endswith("atime")
    ]
    return ",".join(sorted(names))


def _make_for_sure(root: Path, group: Path, *, is_v2: bool) -> None:
    for _ in range(_ATTEMPTS):
        try:
            return _make(root, group, is_v2=is_v2)
        except FileNotFoundError:
            # Another lab's end has just removed the group above all labs, empty as it still was.
            continue
    raise LabError(f"{root / group} cannot be made: is another program removing control groups?")


def _make(root: Path, group: Path, *, is_v2: bool) -> None:
    here = root
    for part in group.parts:
        if is_v2:
            _delegate(here)
        parent, here = here, here / part
        here.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A new version 1 cpuset allows no processor at all until it is told some.
            if not is_v2 and (here / name).exists():
                (here / name).write_text((parent / name).read_text())


def _delegate(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _set_quota(where: Hierarchies, group: Path, cpu: float | None) -> None:
    quota = None if cpu is None else int(cpu * _PERIOD_US)
    if where.unified and not where.controllers:
        (where.unified / group / "cpu.max").write_text(f"{quota or 'max'} {_PERIOD_US}")
        return
    mount = next((path for names, path in where.controllers.items() if "cpu" in names.split(",")), None)
    if mount is None:
        raise LabError("no `cpu` control group is mounted: a node's processor cannot be limited here")
    (mount / group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
    (mount / group / "cpu.cfs_quota_us").write_text(str(quota or -1))
