"""A pretended node: it has power or not, a processor's share, a link, and pods."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgetrain_local.pod import Manifest, Place, Pod
from edgetrain_local.ports import free_ports
from edgetrain_local.wish import WorkerWish
from edgetrain_operator.core.model import NodeView
from edgetrain_operator.core.worker_env import USUAL_PORTS
from edgetrain_protocol import names

Say = Callable[[str, str], None]
"""Node, line."""


@dataclass
class Node:
    wish: WorkerWish
    place: Place
    say: Say
    on: bool = True
    since: float = field(default_factory=time.time)
    pods: list[Pod] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.wish.node

    @property
    def view(self) -> NodeView:
        labels = {names.EDGE_NODE_LABEL: ""}
        return NodeView(self.name, labels, ready=self.on, ready_since=self.since)

    @property
    def trainer_pid(self) -> int | None:
        """Of the supervisor that runs here now."""
        return next((pod.trainer_pid for pod in reversed(self.pods) if pod.trainer_pid), None)

    def poll(self, now: float) -> bool:
        """Look after its pods; True where something changed."""
        if not self.on:
            return False
        changed = [pod.poll(now) for pod in self.pods]
        gone = [pod for pod in self.pods if pod.gone]
        self.pods = [pod for pod in self.pods if not pod.gone]
        return any(changed) or bool(gone)

    def create(self, manifest: Manifest) -> Pod:
        pod = Pod(manifest, self.place, lambda line: self.say(self.name, line))
        self.pods.append(pod)
        return pod

    def switch(self) -> None:
        """Take its power away, or give it back."""
        self.on, self.since = not self.on, time.time()
        for pod in self.pods:
            if self.on:
                pod.power_on(time.monotonic())
            else:
                pod.cut()

    def end(self) -> None:
        """All of it at once, for good."""
        for pod in self.pods:
            pod.cut()


def alone_on(number: int, directory: Path) -> Place:
    """On this machine's loopback, beside the other nodes: ports of its own tell them apart."""
    ports = dict(zip(USUAL_PORTS, free_ports(len(USUAL_PORTS)), strict=True))
    return Place(f"127.0.1.{number}", ports, directory)


def threads(nodes: int) -> dict[str, str]:
    """This machine's processors, shared out: torch would use all of them for each worker."""
    share = max(1, len(os.sched_getaffinity(0)) // nodes)
    return {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(share)}
