"""What processes of the test bed hold in memory."""

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.bed import CLOUD, Bed
from edgelab.demo.install import OPERATOR_NAMESPACE


def resident(pids: Iterable[int]) -> float:
    """MB of memory that processes hold, pages of files that they have mapped included."""
    kib = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return kib * 1024 / 1e6


def operator_pod(test: Bed) -> dict[str, str]:
    """Name and address of the operator's only pod."""
    text = test.lab.kubectl("-n", OPERATOR_NAMESPACE, "get", "pods", "-o", "json")
    (pod,) = json.loads(text)["items"]
    return {"name": pod["metadata"]["name"], "address": pod["status"]["podIP"]}


def operator_pids(test: Bed) -> list[int]:
    pod = operator_pod(test)["name"]
    return test.lab.container_pids(CLOUD.name, OPERATOR_NAMESPACE, pod, "operator")


def sidecar_pids(test: Bed, node: str) -> list[int]:
    pod = test.pods()[node]["metadata"]["name"]
    return test.lab.container_pids(node, test.namespace, pod, "profiler")


def supervisor_pids(test: Bed, node: str) -> list[int]:
    """Without the program that it runs."""
    program = test.program_pid(node)
    return [pid for pid in trainer_pids(test, node) if pid != program]


def trainer_pids(test: Bed, node: str) -> list[int]:
    """Supervisor and program."""
    pod = test.pods()[node]["metadata"]["name"]
    return test.lab.container_pids(node, test.namespace, pod, "trainer")
