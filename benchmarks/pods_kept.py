"""Whether a job's pods were kept while something befell their nodes: none lost, none doubled."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bed import Bed
from benchmarks.waiting import wait_for
from tests.support.pods import apply, get, restricted_pod, wait_running

BYSTANDER = "bystander"
_LOOK_SECONDS = 1.0


@dataclass
class PodsKept:
    """What the API server shows of a job's pods, from one look to the next."""

    test: Bed
    before: set[str] = field(init=False)
    """The pods' uids when it began."""
    lost: set[str] = field(default_factory=set)
    """Of these, those that some look found gone or being deleted."""
    most: int = 0
    """Pods of the job on one node at a time."""

    def __post_init__(self) -> None:
        self.before = set(self.test.pod_uids().values())

    def look(self) -> None:
        pods = self.test.all_pods()
        whole = {p["metadata"]["uid"] for p in pods if "deletionTimestamp" not in p["metadata"]}
        self.lost |= self.before - whole
        self.most = max([self.most, *Counter(p["spec"].get("nodeName") for p in pods).values()])

    def look_until(self, moment: float) -> None:
        """Until this Unix time."""
        while time.time() < moment:
            self.look()
            time.sleep(_LOOK_SECONDS)


def start_bystander(test: Bed, node: str, tolerated: int | None = None) -> None:
    """Put a pod of somebody else's beside the job's, which leaves a dark node as most pods do.

    Without it nothing would show that pods were to be had from there at all.

    Args:
        tolerated: seconds on an unreachable node; where None, what Kubernetes sets: 300.
    """
    pod = restricted_pod(BYSTANDER, node, "import time; time.sleep(100_000)")
    pod["spec"]["automountServiceAccountToken"] = False
    pod["spec"]["tolerations"] = [] if tolerated is None else [_leaving(tolerated)]
    apply(test.lab, test.namespace, pod)
    wait_running(test.lab, test.namespace, BYSTANDER, 60)


def bystander_evicted(test: Bed, seconds: float) -> None:
    """Wait until it is told to go."""

    def told() -> Any:
        return get(test.lab, test.namespace, "pod", BYSTANDER)["metadata"].get("deletionTimestamp")

    wait_for(told, seconds, "the bystander to be evicted", every=0.5)


def _leaving(seconds: int) -> dict[str, Any]:
    key = "node.kubernetes.io/unreachable"
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
