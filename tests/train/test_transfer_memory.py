"""What a newcomer's state of some 100 MB takes of memory at both ends, each a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.programs.state_transfer import DONOR
from benchmarks.secure import answer, mounted, talking
from edgetrain_local.ports import free_port
from tests.support.group import ROOT

MIB = 96
ROOM_MIB = 32
"""Beside the state: pieces on their way, and what the allocator keeps."""
PROGRAM = str(ROOT / "benchmarks" / "programs" / "state_transfer.py")


@contextmanager
def running(directory: Path, worker: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    env = {**mounted(directory, worker), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with talking([sys.executable, PROGRAM, *words], {**os.environ, **env}) as program:
        yield program


def mebibytes(program: subprocess.Popen[str], what: str) -> float:
    """VmRSS, or VmHWM: the most since it was last reset."""
    lines = Path(f"/proc/{program.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def test_a_state_is_nowhere_held_twice(tmp_path: Path) -> None:
    with ExitStack() as stack:
        port = free_port()
        give = stack.enter_context(running(tmp_path, DONOR, "give", str(port), str(MIB)))
        take = stack.enter_context(running(tmp_path, "newcomer", "take", "127.0.0.1", str(port)))
        before = {}
        for program in (give, take):
            Path(f"/proc/{program.pid}/clear_refs").write_text("5")  # the most is what it is now
            before[program] = mebibytes(program, "VmRSS")
        answer(take)
        assert mebibytes(give, "VmHWM") - before[give] < ROOM_MIB
        # What it says of its first connection alone, of libraries and certificates, is some 40 MiB.
        assert mebibytes(take, "VmHWM") - before[take] < MIB + 40 + ROOM_MIB
