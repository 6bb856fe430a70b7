"""Programs that fail, differ or diverge, and volumes that they cannot write."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bed import PROGRAM, Bed
from benchmarks.status_cases.case import (
    Case,
    Told,
    apply,
    condition_says,
    delete_pod_of,
    document,
    label_namespace,
    node_says,
    start_troubled,
    training,
    wait_troubled_training,
)
from benchmarks.waiting import wait_for
from edgetrain_protocol.status import ConditionType, NodeState

LAST_WORDS = "cannot open /dev/camera0: no such device"
NO_MODULE = "ModuleNotFoundError"
LOOKED_AT_SECONDS = 30.0
"""By then an operator that has just been started has looked at a job and written its status."""


def holds(test: Bed, kind: ConditionType) -> bool:
    return any(one.type == kind and one.status == "True" for one in test.status().conditions)


@contextmanager
def image_lacks_package(test: Bed) -> Iterator[Told]:
    """Its pods and their logs may be gone by the time somebody looks."""
    apply(test, document("ConfigMap", "foreign", data={"edgetrain.py": "# in the package's place\n"}))
    fake = {
        "env": [{"name": "PYTHONPATH", "value": "/fake"}],
        "volumeMounts": [{"name": "fake", "mountPath": "/fake", "readOnly": True}],
    }
    volumes = [{"name": "fake", "configMap": {"name": "foreign"}}]
    containers = [{"name": name, **fake} for name in ("trainer", "profiler")]
    start_troubled(test, template={"spec": {"volumes": volumes, "containers": containers}})
    yield lambda: holds(test, ConditionType.FAILED) and condition_says(test, NO_MODULE)


@contextmanager
def one_bad_node(test: Bed) -> Iterator[Told]:
    """It is left out and named, with its program's last words; the job goes on."""
    bad, good = test.nodes[-1], set(test.nodes[:-1])
    start_troubled(test, "--only-on", bad, "--exit-with", LAST_WORDS)

    def left_out() -> bool:
        goes_on = training(test) == good and not holds(test, ConditionType.FAILED)
        return goes_on and node_says(test, bad, LAST_WORDS) and condition_says(test, bad, "left out")

    yield left_out


@contextmanager
def out_of_memory(test: Bed) -> Iterator[Told]:
    limits = {"type": "Container", "default": {"memory": "128Mi"}, "defaultRequest": {"memory": "64Mi"}}
    apply(test, document("LimitRange", "small", spec={"limits": [limits]}))
    start_troubled(test, "--allocate-mib", "256")
    written = ("128Mi", "128 MiB")
    yield lambda: any(condition_says(test, "OutOfMemory", limit) for limit in written)


@contextmanager
def edited(test: Bed) -> Iterator[Told]:
    program = test.program_from_config_map("--epochs", "100000")
    test.train(program=program, nodes={"min": 2})
    other = PROGRAM.read_text().replace("lr=0.05", "lr=0.01")
    apply(test, document("ConfigMap", PROGRAM.stem, data={"main.py": other}))
    victim = test.nodes[-1]
    delete_pod_of(test, victim)
    yield lambda: condition_says(test, "ProgramDiffers", victim)


@contextmanager
def no_number(test: Bed) -> Iterator[Told]:
    start_troubled(test, "--nan-after", "40")
    wait_troubled_training(test, len(test.nodes))
    yield lambda: condition_says(test, "LossNotFinite")


@contextmanager
def unwritable_volumes(test: Bed) -> Iterator[Told]:
    """Found before the first step: a model that cannot be saved at the end is work for nothing."""
    label_namespace(test, "pod-security.kubernetes.io/enforce=privileged")
    paths = {store: f"/var/lib/bench-{store}" for store in ("checkpoint", "model")}
    storage = {
        store: {"volume": {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}}
        for store, path in paths.items()
    }
    start_troubled(test, storage=storage)
    yield lambda: condition_says(test, "VolumeNotWritable") and not test.status().progress.step


@contextmanager
def complete(test: Bed) -> Iterator[Told]:
    """Its pods are cleaned up afterwards, and an operator that never saw them looks at it: its nodes still
    read as it ended."""
    start_troubled(test, "--epochs", "5")
    wait_for(lambda: holds(test, ConditionType.COMPLETE), 120, "the job to be complete", every=0.5)
    test.lab.kubectl("-n", test.namespace, "delete", "pods", "--all")
    test.scale_operator(0)
    test.scale_operator(1)
    time.sleep(LOOKED_AT_SECONDS)

    def as_it_ended() -> bool:
        states = [one.state for one in test.status().nodes]
        return len(states) == len(test.nodes) and set(states) == {NodeState.FINISHED}

    yield as_it_ended


CASES = (
    Case("an image that lacks the package: last words", image_lacks_package, 240),
    Case("one bad node is left out and named, the job goes on", one_bad_node, 300),
    Case("out of memory: the limit is named", out_of_memory, 60),
    Case("a program that was edited meanwhile", edited, 60),
    Case("a loss that is no number", no_number, 30),
    Case("volumes that cannot be written, before the first step", unwritable_volumes, 60),
    Case("complete, and cleaned up: as it ended", complete, 10),
)
