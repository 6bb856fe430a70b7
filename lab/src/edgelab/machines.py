"""Starting, finding and ending the process trees that are the lab's machines.

Nothing here trusts a written process number: a machine is found by its network namespace, so that what a
crash left behind is found as well.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from edgelab import init
from edgelab.errors import LabError
from edgelab.network import NETNS_DIRECTORY
from edgelab.shell import Argument, run

_BEGIN_SECONDS = 10.0
_END_SECONDS = 20.0
_POLL_SECONDS = 0.02


def start(namespace: str, directory: Path, machine: init.Machine) -> None:
    """Start a machine in a network namespace; it outlives this process and logs to `directory`/init.log."""
    specification = directory / "machine.json"
    specification.write_text(json.dumps(asdict(machine), indent=1))
    log = directory / "init.log"
    command: list[Argument] = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork"]
    command += ["--kill-child", "--mount-proc"]
    command += [sys.executable, "-I", "-S", Path(init.__file__), specification]
    spawn(namespace, command, log)
    _wait_begun(namespace, log)


def spawn(namespace: str, argv: Sequence[Argument], log: Path) -> None:
    """Start a program in a network namespace; it outlives this process and appends to `log`."""
    # `setsid --fork` leaves no child of ours: a machine that is ended later would be our zombie.
    # Not `ip netns exec`: it mounts /sys anew, and the control groups are gone.
    command = ["setsid", "--fork", "nsenter", f"--net={NETNS_DIRECTORY / namespace}", *argv]
    # Redirected by a shell's own means: run() reads its program's output, which would never end.
    run(["sh", "-c", 'exec "$@" >>"$0" 2>&1 </dev/null', log, *command])


def processes_in(namespace: str) -> list[int]:
    """Every process in a network namespace, by the machine's own numbers."""
    if not (NETNS_DIRECTORY / namespace).exists():
        return []
    return [int(word) for word in run(["ip", "netns", "pids", namespace]).split()]


def first_process(namespace: str) -> int | None:
    """The machine's process 1, by this machine's number; None where it is off."""
    for pid in processes_in(namespace):
        if inner_numbers(pid)[1:] == [1]:
            return pid
    return None


def inner_numbers(pid: int) -> list[int]:
    """A process's numbers from this machine's view to its innermost namespace; empty where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return [int(word) for word in line.split()[1:]]


def power_off(namespace: str) -> None:
    """End every process of a machine at once, and wait until none is left."""
    end_all(lambda: processes_in(namespace))


def shut_down(namespace: str, grace: float) -> None:
    """Ask a machine to end by itself; after `grace` seconds, end it."""
    if pid := first_process(namespace):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while first_process(namespace) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    power_off(namespace)


def end_all(find: Callable[[], Sequence[int] | set[int]]) -> None:
    """SIGKILL what `find` names until it names nothing.

    Raises:
        LabError: some process does not end.
    """
    deadline = time.monotonic() + _END_SECONDS
    while pids := [pid for pid in find() if not _is_zombie(pid)]:
        if time.monotonic() > deadline:
            raise LabError(f"processes {pids} do not end (hung in the kernel?): restart this machine")
        for pid in pids:
            kill(pid)
        time.sleep(_POLL_SECONDS)


def name_of(pid: int) -> str:
    """The name of a process's program; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; a process that has ended meanwhile is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def entering(pid: int, argv: Sequence[Argument]) -> list[Argument]:
    """`argv` made to run in all namespaces of the machine whose process 1 this is."""
    flags = ["--mount", "--pid", "--net", "--uts", "--ipc"]
    # nsenter forks to enter the PID namespace, and would leave its child behind when it is killed.
    return ["nsenter", "--target", str(pid), *flags, "--", "setpriv", "--pdeathsig", "KILL", "--", *argv]


def _wait_begun(namespace: str, log: Path) -> None:
    deadline = time.monotonic() + _BEGIN_SECONDS
    while first_process(namespace) is None:
        if time.monotonic() > deadline:
            raise LabError(
                f"{namespace} did not start: {log.read_text().strip()[-500:] or 'it left no word'}"
            )
        time.sleep(_POLL_SECONDS)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
