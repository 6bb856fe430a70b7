"""What a lab leaves on the machine, found without asking the lab."""

import json
import re
import subprocess
from pathlib import Path

from edgelab import machines, network
from edgelab.lab import Lab


def everything_of(name: str) -> list[str]:
    """Each trace of a lab, one line each: namespaces, links, routes, mounts, groups, files."""
    mark = re.compile(rf"edgelab[./]{re.escape(name)}\b")
    files = [str(path) for path in Lab(name).files.root.parent.glob(f"*{name}*")]
    groups = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/edgelab/{name}")]
    links = [link["ifname"] for link in json.loads(_printed("ip", "-json", "link")) if mark.search(str(link))]
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if mark.search(line)]
    return [*files, *groups, *links, *mounts, *network.lab_namespaces(name), *_commands(name)]


def host_rules() -> str:
    """The machine's own packet filter and routes to addresses of labs."""
    return _printed("nft", "list", "ruleset")


def routes_to(block: str) -> str:
    """The machine's routes into a lab's block of addresses."""
    return _printed("ip", "route", "show", "root", block)


def processes_of(lab: Lab) -> set[tuple[int, str]]:
    """Every process of a running lab with its start time: all below its machines' first processes."""
    first = [machines.first_process(space) for space in network.lab_namespaces(lab.name)]
    found = {pid for pid in first if pid}
    while grown := {pid for pid, parent in _parents().items() if parent in found} - found:
        found |= grown
    return {(pid, start) for pid in found if (start := _started(pid))}


def still_alive(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those that are. A number that was given to a new process is not counted."""
    return {(pid, start) for pid, start in processes if _started(pid) == start}


def _commands(name: str) -> list[str]:
    shown = _printed("ps", "-eo", "pid,args", "--no-headers").splitlines()
    return [line for line in shown if f"/edgelab/{name}/" in line or f"edgelab.{name}." in line]


def _parents() -> dict[int, int]:
    listed = _printed("ps", "-eo", "pid,ppid", "--no-headers").split()
    return dict(zip(map(int, listed[::2]), map(int, listed[1::2]), strict=True))


def _started(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _printed(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
