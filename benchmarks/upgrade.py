"""The operator upgraded while a job trains: other values, another version, and back again."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import yaml

from benchmarks.audit import audit
from benchmarks.bed import CLOUD, Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.steps import LATE_SECONDS, gaps
from benchmarks.waiting import wait_for
from edgelab.demo.install import CHART, OPERATOR_NAMESPACE, upgrade_operator
from edgelab.images import OPERATOR_IMAGE, TRAINER_IMAGE

SAMPLES = 4000
NODES = edges("50mbit", "50mbit", "50mbit", "50mbit", cpus=[0.4] * 4)
NEXT = "next"
"""The version upgraded to; its images are this tree's too, under another tag."""
SETTLE_SECONDS = 15.0
"""Watched beyond the roll-out: the old operator's last word, and the workers' way to the new one."""


def next_chart(directory: Path) -> Path:
    """The chart as a later version of it would be: its own number, and other images."""
    copy = directory / "edgetrain"
    copytree(CHART, copy)
    about = yaml.safe_load((copy / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.2.0", "appVersion": NEXT}))
    return copy


def load_next(test: Bed) -> None:
    """Give every node the images of the next version."""
    for image in (OPERATOR_IMAGE, TRAINER_IMAGE):
        tags = [f"docker.io/{image}", f"docker.io/{image.rpartition(':')[0]}:{NEXT}"]
        for node in (CLOUD.name, *test.nodes):
            done = test.lab.exec_on(node, ["ctr", "--namespace=k8s.io", "images", "tag", *tags])
            if done.returncode:
                raise RuntimeError(f"{node}: {done.stderr}")


def operator_pods(test: Bed) -> set[str]:
    """Uids."""
    text = test.lab.kubectl("-n", OPERATOR_NAMESPACE, "get", "pods", "-o", "json")
    return {pod["metadata"]["uid"] for pod in json.loads(text)["items"]}


def lives(test: Bed) -> dict[str, tuple[str, int]]:
    """Of each node's worker: its pod's uid, and how often its containers were started again."""
    return {node: (pod["metadata"]["uid"], _restarts(pod)) for node, pod in test.pods().items()}


def _restarts(pod: dict[str, Any]) -> int:
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return sum(container["restartCount"] for container in containers)


def upgraded(test: Bed, what: str, change: Callable[[], object]) -> Iterator[Row]:
    """What one change of the release does to the job."""
    before, operators = lives(test), operator_pods(test)
    began = time.time()
    change()
    seconds = time.time() - began
    wait_for(lambda: not operators & operator_pods(test), 60, "the operators before it to go", every=0.5)
    told = test.status().progress.step
    wait_for(lambda: test.status().progress.step > told, 60, "progress to be told again", every=0.5)
    time.sleep(SETTLE_SECONDS)
    waits = gaps(test.journal.read(), began, time.time())
    test.wait_training(len(test.nodes))
    restarted = sum(life != before.get(node) for node, life in lives(test).items())
    late = sum(wait > LATE_SECONDS for wait in waits)
    yield Row(f"{what}: pods restarted", restarted, "pods", Goal("==", 0), (restarted,))
    yield Row(f"{what}: steps late by more than 2 s", late, "steps", Goal("==", 0), (late,))
    yield Row(f"{what}: longest wait for a step", max(waits), "s", None, tuple(sorted(waits)[-5:]))
    yield Row(f"{what}: usual wait for a step", statistics.median(waits), "s", None, (len(waits),))
    yield Row(f"{what}: until the roll-out was over", seconds, "s", None, (seconds,))


def all_upgrades(test: Bed, later: Path) -> Iterator[Row]:
    values = ("--set", "operator.logLevel=DEBUG", "--set-json", 'podAnnotations={"example.org/turn": "1"}')
    rollback = ("rollback", "edgetrain", "1", "--namespace", OPERATOR_NAMESPACE, "--wait")
    yield from upgraded(test, "other values", lambda: upgrade_operator(test.lab, *values))
    yield from upgraded(test, "another version", lambda: upgrade_operator(test.lab, chart=later))
    yield from upgraded(
        test, "the version before, two replicas", lambda: upgrade_operator(test.lab, "--set=replicaCount=2")
    )
    yield from upgraded(test, "rolled back", lambda: test.lab.helm(*rollback))
    found = audit(test.journal.read(), SAMPLES)
    yield Row("steps or samples lost, forked or doubled", found.harm, "", Goal("==", 0), (found.steps,))


def main() -> int:
    with tempfile.TemporaryDirectory() as directory, bed("upgrade", NODES) as test:
        load_next(test)
        test.train("--samples", str(SAMPLES), "--epochs", "100000")
        rows = list(all_upgrades(test, next_chart(Path(directory))))
    return 0 if publish("upgrade", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
