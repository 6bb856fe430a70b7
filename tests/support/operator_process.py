"""The operator as a process of its own, against a test's API server."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgetrain_local.ports import free_ports
from tests.support.apiserver import ApiServer

START_SECONDS = 30.0
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True)
class OperatorProcess:
    process: subprocess.Popen[bytes]
    metrics_port: int
    fleet_port: int
    log: Path

    def metrics(self, path: str = "/metrics") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def workers(self) -> str:
        """What it relays of them."""
        return self.metrics("/metrics/workers")

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def leads(self) -> bool:
        return "edgetrain_operator_leader 1.0" in self.metrics()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def operator_process(
    api: ApiServer,
    namespace: str,
    directory: Path,
    name: str = "operator-a",
    kubeconfig: str = "",
    files: str = "",
    proxy: str = "",
    **env: str,
) -> Iterator[OperatorProcess]:
    """Start one that looks after `namespace` and keeps its Lease there; wait until it is healthy.

    `files`: how many it may have open, where not as many as we. `proxy`: what its environment names.
    """
    metrics_port, fleet_port = free_ports(2)
    settings = {
        "TRAINER_IMAGE": "registry.example/edgetrain:test",
        "FLEET_ADDRESS": f"127.0.0.1:{fleet_port}",
        "NAMESPACE": namespace,
        "NAMESPACES": namespace,
        "POD_NAME": name,
        "METRICS_PORT": str(metrics_port),
        "FLEET_PORT": str(fleet_port),
    }
    log = directory / f"{name}.log"
    limited = ["prlimit", f"--nofile={files}:{files}"] if files else []
    variables = {f"EDGETRAIN_OPERATOR_{key}": value for key, value in (settings | env).items()}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*limited, sys.executable, "-m", "edgetrain_operator"],
            env=os.environ
            | dict.fromkeys(PROXIES if proxy else (), proxy)
            | {"KUBECONFIG": kubeconfig or str(api.kubeconfig)}
            | variables,
            stdout=stream,
            stderr=stream,
        )
    started = OperatorProcess(process, metrics_port, fleet_port, log)
    try:
        _wait_healthy(started)
        yield started
    finally:
        started.kill()


def _wait_healthy(started: OperatorProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not started.healthy():
        if started.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the operator did not start:\n{started.log.read_text()[-3000:]}")
        time.sleep(0.05)
