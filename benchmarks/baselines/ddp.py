"""torch's DDP by itself: a process for each rank, which writes its log when it is done."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.waiting import wait_for
from edgetrain_local.ports import free_port
from tests.support.wires import Wires


@dataclass(frozen=True)
class Meeting:
    """Where the ranks find one another."""

    address: str
    """Of rank 0."""
    port: int
    interface: str
    """By which each reaches the others."""

    @classmethod
    def by(cls, wires: Wires | None) -> Self:
        """On the node w0, or on loopback."""
        return cls(wires.address("w0"), 29500, "eth0") if wires else cls("127.0.0.1", free_port(), "lo")


def run_ranks(
    commands: Sequence[Sequence[str]],
    logs: Sequence[Path],
    env: Mapping[str, str],
    at: Meeting,
    seconds: float,
) -> None:
    """Run a command for each rank until all logs are written, and end what is left then.

    Args:
        env: beside that of this process and what DDP reads.

    Raises:
        TimeoutError: some are not written within `seconds`.
        RuntimeError: one failed before; its words are on stderr.
    """
    shared = {**os.environ, **env, "GLOO_SOCKET_IFNAME": at.interface, "MASTER_ADDR": at.address}
    shared |= {"MASTER_PORT": str(at.port), "WORLD_SIZE": str(len(commands))}
    started = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}) for rank, command in enumerate(commands)
    ]

    def done() -> bool:
        if failed := [process.args for process in started if process.poll()]:
            raise RuntimeError(f"a rank of DDP failed: {failed[0]!r}")
        return all(map(written, logs))

    try:
        wait_for(done, seconds, f"DDP to write {logs[0]} and others", every=0.5)
    finally:
        for process in started:
            process.kill()
            process.wait()


def written(log: Path) -> bool:
    """Whether it ends with a whole line."""
    return log.exists() and log.read_text().endswith("\n")
