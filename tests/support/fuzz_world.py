"""What nodes, kubelets and workers do around a job in memory: nothing of it is wrong by itself."""

import random
from collections.abc import Iterator
from typing import Any

from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import pod_view
from edgetrain_protocol.plan import Phase, Plan
from edgetrain_protocol.report import ProbeOrder
from tests.support.api_in_memory import KubeInMemory
from tests.support.fuzz_scenes import Raw, pod_status
from tests.support.mutations import WORDS

STRANGE_SECONDS = 10_000.0
"""A report whose time is so far off keeps it."""


def node_of(pod: Raw) -> str:
    return pod_view(pod).node


def uid_of(pod: Raw) -> str:
    return str(pod["metadata"]["uid"])


def running(kube: KubeInMemory) -> Iterator[Raw]:
    """Pods whose workers could report."""
    for pod in kube.all("pods"):
        if pod.get("status", {}).get("phase") == "Running":
            yield pod


def kubelets_act(kube: KubeInMemory) -> None:
    """Where a node is heard, deleted pods end and new ones start."""
    for pod in kube.all("pods"):
        if not is_ready(kube, node_of(pod)):
            continue
        if "deletionTimestamp" in pod["metadata"]:
            kube.remove("pods", pod)
        elif "status" not in pod or pod["status"]["phase"] == "Pending":
            pod["status"] = pod_status("Running")
            pod["spec"]["nodeName"] = node_of(pod)


def is_ready(kube: KubeInMemory, name: str) -> bool:
    """Whether a new pod could start there."""
    node = kube.objects.get(("nodes", "", name))
    if node is None or node["spec"].get("unschedulable"):
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def something_happens(kube: KubeInMemory, chance: random.Random) -> None:
    """A node turns, or is gone; a pod fails, or is gone."""
    nodes, pods = kube.all("nodes"), kube.all("pods")
    match chance.randrange(8):
        case 0 | 1 if nodes:
            conditions = chance.choice(nodes)["status"]["conditions"]
            conditions[0]["status"] = "Unknown" if conditions[0]["status"] == "True" else "True"
        case 2 if nodes:
            kube.remove("nodes", chance.choice(nodes))
        case 3 if pods:
            kube.remove("pods", chance.choice(pods))
        case 4 if pods:
            chance.choice(pods)["status"] = pod_status("Failed", ready=False)
        case 5 if pods:
            chance.choice(pods)["status"] = _crashed(chance)


def _crashed(chance: random.Random) -> Raw:
    """Its program has ended, with words of its own, and is started again or not."""
    words = {"reason": chance.choice(("Error", "OOMKilled", "Completed")), "message": chance.choice(WORDS)}
    ended = {"terminated": {"exitCode": chance.choice((0, 1, 137, 143, 255)), **words}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = pod_status("Running", ready=False)
    (trainer,) = status["containerStatuses"]
    trainer |= {"state": waiting, "lastState": ended, "restartCount": chance.choice((1, 2, 40))}
    return status


def first_report(pod: Raw, now: float) -> Raw:
    """Of a worker whose program has come to its loop."""
    uid, view = uid_of(pod), pod_view(pod)
    training = {"state": "waiting", "incarnation": f"{uid}-1", "logDisk": uid}
    ports = {"controlPort": 7070, "statePort": 7074, "probePort": 7073}
    who = {"worker": worker_name(view.node), "node": view.node, "pod": view.name, "podUid": uid}
    return {**who, **ports, "address": "10.0.0.9", "sequence": 1, "at": now, "training": training}


def repeated(document: Any, now: float) -> Any:
    """The same, sent anew."""
    if not isinstance(document, dict):
        return document
    sequence, at = document.get("sequence"), document.get("at")
    later: Raw = {"sequence": sequence + 1} if type(sequence) is int else {}
    usual = isinstance(at, int | float) and abs(at - now) < STRANGE_SECONDS
    return document | later | ({"at": now} if usual else {})


def measuring(document: Raw, order: ProbeOrder | None, now: float, chance: random.Random) -> Raw:
    """What a profiler says that was asked for a probe."""
    if order is None:
        return {**document, "measured": {"cpuRatio": 0.5}}
    link = {"peer": order.peer, "bitsPerSecond": chance.uniform(1.0, 1e9), "bytes": 1 << 20, "at": now}
    failed = {"probeFailed": order.peer}
    return {**document, "measured": failed if chance.random() < 0.2 else {"links": [link]}}


def following(document: Raw, plan: Plan) -> Raw:
    """What an honest worker says once it is served this plan: it waits, or trains with all members."""
    before = document["training"]
    group = plan.group_of(document["worker"])
    history = {"lineage": plan.lineage, "group": plan.group, "generation": plan.generation}
    said = {**before, **history, "revisionHeld": plan.revision}
    if group is None or plan.phase is not Phase.TRAIN or before["state"] in ("finished", "failed"):
        return {**document, "training": said}
    members = [member.worker for member in group.members]
    formation = {"revision": plan.revision, "number": 1, "aggregator": group.aggregator, "members": members}
    trains = {"state": "training", "base": 1, "holds": True, "step": before.get("step", 0) + 1}
    return {**document, "training": {**said, **trains, "formation": {**history, **formation}}}
