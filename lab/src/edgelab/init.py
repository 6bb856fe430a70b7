"""First process of a machine of the lab: mounts, starts and supervises what its specification names.

Run by path with `python -I -S`: it uses the standard library alone, so that a node costs few megabytes and
starts at once. Being process 1 of a PID namespace, its end is the end of everything that it started, and of
all their mounts: SIGKILL is a power cut, SIGTERM a clean shutdown.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESTART_SECONDS = 1.0
NEED_SECONDS = 60.0
GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.02
_VAR = "edgelab/var"
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM}
# What carries the containers must outlive them, or they die without having been asked to.
_CARRIERS = ("containerd", "containerd-shim", "runc")


@dataclass
class Process:
    """A program to keep running, or with `once` to run to its end before the next one starts.

    `needs`: what must be there first: the path of a Unix socket, or `tcp:ADDRESS:PORT`.
    """

    name: str
    argv: list[str]
    needs: list[str] = field(default_factory=list)
    once: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Machine:
    """What this process makes of itself.

    `run` and `var` become /run and /var, the file `hosts` /etc/hosts; `binds` maps a place below `run` to
    what shall be seen there.
    """

    hostname: str
    log_directory: str
    processes: list[Process]
    run: str | None = None
    var: str | None = None
    hosts: str | None = None
    binds: dict[str, str] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    cgroups: list[str] = field(default_factory=list)

    @staticmethod
    def load(path: Path) -> "Machine":
        content: dict[str, Any] = json.loads(path.read_text())
        content["processes"] = [Process(**process) for process in content["processes"]]
        return Machine(**content)


class Supervisor:
    """Starts processes in order, and again when they end."""

    def __init__(self, machine: Machine) -> None:
        self._logs = Path(machine.log_directory)
        self._queue = list(machine.processes)
        self._running: dict[int, Process] = {}
        self._again: list[tuple[float, Process]] = []

    def start_all(self) -> None:
        for process in self._queue:
            for need in process.needs:
                _wait_for(need)
            pid = self._start(process)
            if process.once:
                self._finish(pid, process)
            else:
                self._running[pid] = process

    def watch(self) -> None:
        """Reap and restart, until told to stop."""
        while True:
            got = signal.sigtimedwait(_SIGNALS, RESTART_SECONDS)
            if got and got.si_signo == signal.SIGTERM:
                return
            self._reap()
            self._restart_due()

    def stop(self) -> None:
        """Stop what would start containers anew, then ask the containers to end, and wait for them."""
        for pid, process in self._running.items():
            if process.name not in _CARRIERS:
                os.kill(pid, signal.SIGTERM)
        for pid in _passengers(self._running):
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while _passengers(self._running) and time.monotonic() < deadline:
            self._reap()
            time.sleep(_POLL_SECONDS)

    def _start(self, process: Process) -> int:
        output = os.open(self._logs / f"{process.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        actions = [
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
            (os.POSIX_SPAWN_CLOSE, output),
        ]
        environment = dict(os.environ) | process.environment
        try:
            return os.posix_spawn(
                process.argv[0], process.argv, environment, file_actions=actions, setsigmask=[]
            )
        finally:
            os.close(output)

    def _finish(self, pid: int, process: Process) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            sys.exit(f"{process.name} ended with status {status}: see {process.name}.log")

    def _reap(self) -> None:
        while self._running:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if process := self._running.pop(pid, None):
                _say(f"{process.name} ended with status {os.waitstatus_to_exitcode(status)}")
                self._again.append((time.monotonic() + RESTART_SECONDS, process))

    def _restart_due(self) -> None:
        now = time.monotonic()
        due = [process for when, process in self._again if when <= now]
        self._again = [(when, process) for when, process in self._again if when > now]
        for process in due:
            self._running[self._start(process)] = process


def main(specification: Path) -> None:
    machine = Machine.load(specification)
    # Blocked from here on and taken by sigtimedwait: a process 1 is sent no signal that it does not handle.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for group in machine.cgroups:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    socket.sethostname(machine.hostname)
    for name, value in machine.sysctls.items():
        Path("/proc/sys", name.replace(".", "/")).write_text(value)
    mount_all(machine)
    supervisor = Supervisor(machine)
    supervisor.start_all()
    supervisor.watch()
    supervisor.stop()


def mount_all(machine: Machine) -> None:
    """Give the machine names, a /run of its own, empty at every start as on real ones, and its own /var.

    What lies below the machine's real /run and /var is bound before these disappear under the new ones.
    """
    if machine.hosts:
        _mount("--bind", machine.hosts, "/etc/hosts")
    if not (machine.run and machine.var):
        return
    run = Path(machine.run)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", machine.run)
    for place, source in {**machine.binds, _VAR: machine.var}.items():
        target = run / place
        _make_like(Path(source), target)
        _mount("--rbind", source, str(target))
    _mount("--rbind", machine.run, "/run")
    _mount("--rbind", f"/run/{_VAR}", "/var")


def _make_like(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", "-n", *arguments], check=True)


def _wait_for(need: str) -> None:
    deadline = time.monotonic() + NEED_SECONDS
    while not _is_there(need):
        if time.monotonic() > deadline:
            sys.exit(f"{need} did not come within {NEED_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


def _is_there(need: str) -> bool:
    kind, _, rest = need.partition(":")
    if kind != "tcp":
        return Path(need).exists()
    host, _, port = rest.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _passengers(own: Iterable[int]) -> list[int]:
    """Processes of containers: all but this one, its children and what carries containers."""
    others = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()} - {
        os.getpid(),
        *own,
    }
    return [pid for pid in sorted(others) if _name(pid) not in (None, *_CARRIERS)]


def _name(pid: int) -> str | None:
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return None
    name, state = status.partition("(")[2].rpartition(")")[0], status.rpartition(")")[2].split()[0]
    return None if state == "Z" else name.removesuffix("-runc-v2")


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
