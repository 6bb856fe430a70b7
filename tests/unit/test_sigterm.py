"""What a container runs first can be told to end while it still imports, and ends its program in time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain.rundir import FINISHING_FILE
from edgetrain_local.ports import free_ports
from edgetrain_operator.core.containers import BEFORE_STOP
from edgetrain_protocol.names import Env
from tests.support.identities import write_identity

SLOW_MODULE = "prometheus_client"
"""What both import, as on a device on which that takes seconds."""


@pytest.mark.parametrize("process", ["edgetrain.supervisor", "edgetrain.profiler"])
def test_one_that_still_imports_ends_when_told_to(process: str, tmp_path: Path) -> None:
    imports = tmp_path / "imports"
    (tmp_path / f"{SLOW_MODULE}.py").write_text(
        f"import pathlib, time\npathlib.Path({str(imports)!r}).touch()\ntime.sleep(60)\n"
    )
    # Else the profiler waits ten seconds for a trainer to go before it.
    (tmp_path / FINISHING_FILE).touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), Env.RUN_DIR: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", process], env=environment) as started:
        try:
            wait_for(imports.exists, 20, "it to import")
            started.terminate()
            # Not ended by the signal itself, which the first process of a container would not be.
            assert started.wait(10) == 128 + 15
        finally:
            started.kill()


HANGS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def test_a_program_that_hangs_is_killed_before_its_pods_grace_is_over(tmp_path: Path) -> None:
    """After half of six seconds. It was asked by its link, of which this one knows nothing."""
    begun, identity = tmp_path / "begun", write_identity(tmp_path / "identity", "w-a")
    control, metrics = free_ports(2)
    pod: dict[str, str] = {
        Env.WORKER: "w-a",
        Env.POD_UID: "pod-w-a",
        Env.POD_IP: "127.0.0.1",
        Env.JOB_UID: "job",
        Env.FLEET_ADDRESS: "127.0.0.1:9",
        Env.IDENTITY_DIR: str(identity),
        Env.CA_FILE: str(identity / "authorities.crt"),
        Env.RUN_DIR: str(tmp_path),
        Env.STATE_DIR: str(tmp_path),
        Env.CONTROL_PORT: str(control),
        Env.TRAINER_METRICS_PORT: str(metrics),
        Env.GRACE_SECONDS: "6",
    }
    command = [sys.executable, "-m", "edgetrain.supervisor", "--", sys.executable, "-c", HANGS, str(begun)]
    with subprocess.Popen(command, env={**os.environ, **pod}) as started:
        try:
            wait_for(begun.exists, 20, "the program to begin")
            told = time.monotonic()
            started.send_signal(signal.SIGTERM)
            started.wait(15)
            assert 3 <= time.monotonic() - told < 6
        finally:
            started.kill()


SLOW_TO_HEAR = """
import signal, sys, time
time.sleep(2)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
time.sleep(60)
"""


def test_a_containers_first_process_is_told_to_end_once_it_can_hear() -> None:
    """By the hook that kubelets run before; without it this signal is nothing to it."""
    contained = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        sys.executable,
        "-c",
        SLOW_TO_HEAR,
    ]
    with subprocess.Popen(contained) as container:
        try:
            first = wait_for(lambda: child_of(container.pid), 10, "the container's first process")
            inside = ["nsenter", "--target", str(first), "--pid", "--mount"]
            command = BEFORE_STOP["preStop"]["exec"]["command"]
            subprocess.run([*inside, sys.executable, *command[1:]], check=True, timeout=20)
            os.kill(first, signal.SIGTERM)
            assert container.wait(10) == 7
        finally:
            container.kill()


def child_of(pid: int) -> int:
    """The one that it has; 0 before."""
    return int((Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or ["0"])[0])
