"""A case: what befalls a job, and what its status must say of it within a time."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bed import Bed
from benchmarks.waiting import wait_for
from edgetrain_protocol.status import NodeState

TROUBLED = Path(__file__).parent.parent / "programs" / "troubled.py"

Json = dict[str, Any]
Told = Callable[[], bool]
"""Whether it is said now."""


@dataclass(frozen=True)
class Case:
    """`play` brings it about in a namespace of its own, and undoes on leaving what outlasts that."""

    name: str
    play: Callable[[Bed], AbstractContextManager[Told]]
    seconds: float
    """From when it is brought about until it must be said."""


# --- bringing it about


def apply(test: Bed, *documents: Json) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    test.lab.kubectl("-n", test.namespace, "apply", "-f", "-", stdin=json.dumps(listed))


def document(kind: str, name: str, version: str = "v1", **parts: Any) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}} | parts


def start_troubled(test: Bed, *arguments: str, **spec: Any) -> None:
    """Apply a job of the troubled program with these arguments."""
    program = {"command": ["python", str(TROUBLED)], "args": list(arguments)}
    test.start(**{"program": program, "nodes": {"min": 2}, **spec})


def label_namespace(test: Bed, *labels: str) -> None:
    test.lab.kubectl("label", "--overwrite", "namespace", test.namespace, *labels)


def delete_pod_of(test: Bed, node: str) -> None:
    pod = test.pods()[node]["metadata"]["name"]
    test.lab.kubectl("-n", test.namespace, "delete", "pod", pod, "--wait=false")


# --- what is said


def conditions(test: Bed) -> Iterator[str]:
    """What holds by the job's status, each as reason and message."""
    return (f"{one.reason}: {one.message}" for one in test.status().conditions)


def condition_says(test: Bed, *words: str) -> bool:
    """Whether one condition has all of these words."""
    return any(all(word in text for word in words) for text in conditions(test))


def node_says(test: Bed, node: str, *words: str) -> bool:
    """Whether the status says all of these words of a node; any, where there are none."""
    messages = [one.message for one in test.status().nodes if one.node == node]
    return any(text and all(word in text for word in words) for text in messages)


def is_named(test: Bed, node: str) -> bool:
    """Whether anything is said of a node, by itself or in a condition."""
    return condition_says(test, node) or node_says(test, node)


def training(test: Bed) -> set[str]:
    """The nodes that train, by the status."""
    return {one.node for one in test.status().nodes if one.state is NodeState.TRAINING}


def wait_troubled_training(test: Bed, count: int) -> None:
    """Until so many nodes train, for jobs that keep no journal."""
    wait_for(lambda: len(training(test)) >= count, 180, f"{count} nodes to train", every=0.5)
