"""torchrun's elastic launcher on loopback: four agents of one worker each, one worker killed.

`TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`, without which torch 2.13 does not come back from a killed
worker at all: the baseline is given its best setting.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.waiting import wait_for
from edgetrain_local.ports import free_port

PROGRAM = Path(__file__).parent.parent / "programs" / "torchrun_journal.py"
AGENTS = 4


def command(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "torch.distributed.run", f"--nnodes={AGENTS}", "--nproc-per-node=1"),
        *("--max-restarts=20", "--rdzv-backend=c10d", "--rdzv-id=bench"),
        *(f"--rdzv-endpoint=127.0.0.1:{port}", "--monitor-interval=0.1", str(PROGRAM)),
    ]


@contextmanager
def agents(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Four agents, each with a log of its own; ended with all they started when the block ends."""
    environment = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "OMP_NUM_THREADS": "1"}
    line, started = command(free_port()), []
    try:
        for number in range(AGENTS):
            with (folder / f"{number}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        line, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
                    )
                )
        yield started
    finally:
        for agent in started:
            for child in children(agent.pid):
                with_signal(child, signal.SIGKILL)
            agent.kill()
            agent.wait()


def with_signal(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def children(pid: int) -> list[int]:
    """Direct children, from /proc."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def steps(folder: Path, after: float) -> list[float]:
    """Times of the steps that any worker logged after a moment, oldest first."""
    lines = (line for log in folder.glob("*.log") for line in log.read_text(errors="replace").splitlines())
    times = (json.loads(line[5:])["at"] for line in lines if line.startswith("STEP ") and line.endswith("}"))
    return sorted(at for at in times if at > after)


def wait_for_step(folder: Path, after: float, deadline: float) -> float:
    """Time of the first step after a moment.

    Raises:
        TimeoutError: none came within `deadline` seconds.
    """
    return wait_for(lambda: steps(folder, after), deadline, "torchrun to commit a step")[0]


def worker_kill_seconds(repeats: int = 3, deadline: float = 120) -> list[float]:
    """Seconds from SIGKILL of one worker to the next step of any worker, `repeats` times.

    Steps that the survivors finish within the first half second belong to the old group.
    """
    measured = []
    with tempfile.TemporaryDirectory() as name, agents(Path(name)) as started:
        folder = Path(name)
        wait_for_step(folder, 0, deadline)
        for number in range(repeats):
            victim = children(started[1 + number % (AGENTS - 1)].pid)[0]
            killed = time.time()
            os.kill(victim, signal.SIGKILL)
            measured.append(wait_for_step(folder, killed + 0.5, deadline) - killed)
            time.sleep(2)
    return measured


if __name__ == "__main__":
    sys.stdout.write(f"{worker_kill_seconds()}\n")
