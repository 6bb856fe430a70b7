"""Objects as the API server gives them -> the small frozen views that decisions are made from."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from edgetrain_operator.core.ends import OWN, container_ends, waits_for_others
from edgetrain_operator.core.kueue.workload import PRIORITY_LABEL, QUEUE_LABEL
from edgetrain_operator.core.model import ContainerTrouble, Job, NodeView, PodView, Taint
from edgetrain_operator.core.status_before import status_before
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import (
    ATTEMPT_LABEL,
    NEVER_FAILURES,
    NODE_ANNOTATION,
    TRAINER_CONTAINER,
    Env,
)

OTHER_ARCHITECTURE = "exec format error"
"""What the kernel says of a program that is built for another one."""
STARTING_NORMALLY = frozenset({"ContainerCreating", "PodInitializing", "CrashLoopBackOff"})
ENDS_OF_NOTE = frozenset({"StartError", "ContainerCannotRun"})
_BYTES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}

Raw = Mapping[str, Any]


def unix_time(text: str | None) -> float:
    """RFC 3339 as Kubernetes writes it -> seconds; 0 where there is none, or that is no time."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except (ValueError, OverflowError):
        return 0.0


def time_text(seconds: float) -> str:
    """Seconds -> RFC 3339 as Kubernetes reads it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job_view(raw: Raw) -> Job:
    """Raises:
    pydantic.ValidationError: spec is not one that this version knows.
    """
    meta = raw["metadata"]
    labels = meta.get("labels") or {}
    return Job(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        created=unix_time(meta.get("creationTimestamp")),
        spec=JobSpec.model_validate(raw.get("spec") or {}),
        status=status_before(raw.get("status")),
        queue=labels.get(QUEUE_LABEL, ""),
        queue_priority=labels.get(PRIORITY_LABEL, ""),
        version=meta.get("resourceVersion", ""),
    )


def text_at(raw: object, *way: str) -> str:
    """What stands there in an object that may be wrong in any way; empty where that is no text."""
    for name in way:
        raw = raw.get(name) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, str) else ""


def controller_of(raw: Raw) -> Raw | None:
    """The owner that controls this object."""
    owners = raw["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def own(raws: Iterable[Raw], job_uid: str) -> list[Raw]:
    """Those controlled by this very job. Another uid under the same name is somebody else: never adopted."""
    return [raw for raw in raws if (owner := controller_of(raw)) and owner["uid"] == job_uid]


def node_view(raw: Raw) -> NodeView:
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    ready: Raw = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    return NodeView(
        name=meta["name"],
        labels=dict(meta.get("labels") or {}),
        ready=ready.get("status") == "True",
        ready_since=unix_time(ready.get("lastTransitionTime")),
        unschedulable=bool(spec.get("unschedulable")),
        deleting="deletionTimestamp" in meta,
        taints=tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in spec.get("taints") or ()),
        kubelet=(status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        memory=_memory((status.get("allocatable") or {}).get("memory", "")),
    )


def _memory(quantity: str) -> int:
    """Bytes, as kubelets write them; 0 for what none of them does."""
    found = re.fullmatch(r"([0-9]+)(Ki|Mi|Gi|)", quantity)
    return int(found[1]) * _BYTES[found[2]] if found else 0


def pod_view(raw: Raw) -> PodView:
    meta, status = raw["metadata"], raw.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    lingers = _lingers(status)
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        # Once it is bound, not by what anybody may write over it.
        node=text_at(raw, "spec", "nodeName") or text_at(meta, "annotations", NODE_ANNOTATION),
        attempt=_attempt(text_at(meta, "labels", ATTEMPT_LABEL)),
        # Somebody else's container that runs on changes nothing of what has come of the worker.
        phase="Succeeded" if lingers else status.get("phase", "Pending"),
        deleting="deletionTimestamp" in meta,
        ready=conditions.get("Ready", {}).get("status") == "True",
        crashes=_crashes(status),
        trouble=_container_trouble(status) or _not_scheduled(conditions),
        ends=container_ends(raw),
        idle=_idle(status),
        conditions={kind: c.get("status", "Unknown") for kind, c in conditions.items()},
        lingers=lingers,
        preparing=_preparing(raw, status),
        fleet_address=_fleet_address(raw),
        created=unix_time(meta.get("creationTimestamp")),
    )


def _attempt(label: str) -> int:
    """0 where somebody has written something else over it."""
    return int(label) if re.fullmatch("[0-9]{1,12}", label) else 0


def _crashes(status: Raw) -> int:
    """Restarts of the trainer, unless its last end was none of the program's doing: the kubelet keeps the
    last end alone.
    """
    for container in status.get("containerStatuses") or ():
        if container["name"] == TRAINER_CONTAINER:
            end = (container.get("lastState") or {}).get("terminated") or {}
            blameless = end.get("exitCode", 0) in (0, *NEVER_FAILURES) and end.get("reason") != "OOMKilled"
            return 0 if blameless else int(container.get("restartCount", 0))
    return 0


def _idle(status: Raw) -> bool:
    for container in status.get("containerStatuses") or ():
        if container["name"] == TRAINER_CONTAINER:
            state = container.get("state") or {}
            started_before = "terminated" in state or "terminated" in (container.get("lastState") or {})
            return started_before and "running" not in state
    return False


def _lingers(status: Raw) -> bool:
    found = {c["name"]: c.get("state") or {} for c in status.get("containerStatuses") or ()}
    end = found.pop(TRAINER_CONTAINER, {}).get("terminated") or {"exitCode": 1}
    return end.get("exitCode", 0) == 0 and any("running" in state for state in found.values())


def _preparing(raw: Raw, status: Raw) -> str:
    if not waits_for_others(status):
        return ""
    sidecars = {c["name"] for c in _spec(raw, "initContainers") if c.get("restartPolicy") == "Always"}
    before = (c for c in status.get("initContainerStatuses") or () if c["name"] not in sidecars)
    return next((c["name"] for c in before if "terminated" not in (c.get("state") or {})), "")


def _spec(raw: Raw, kind: str) -> Iterable[Raw]:
    return (raw.get("spec") or {}).get(kind) or ()


def _fleet_address(raw: Raw) -> str:
    variables = (
        v for c in _spec(raw, "containers") if c["name"] == TRAINER_CONTAINER for v in c.get("env") or ()
    )
    return next((v.get("value", "") for v in variables if v["name"] == Env.FLEET_ADDRESS), "")


def _container_trouble(status: Raw) -> ContainerTrouble | None:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    trains = any(c["name"] == TRAINER_CONTAINER and "running" in (c.get("state") or {}) for c in containers)
    # Of others' no more than what keeps ours from running.
    for container in (c for c in containers if c["name"] in OWN or not trains):
        state, last = container.get("state") or {}, container.get("lastState") or {}
        image = "" if container["name"] in OWN else container.get("image", "")
        waiting = state.get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason and reason not in STARTING_NORMALLY:
            return ContainerTrouble(container["name"], reason, waiting.get("message", ""), image)
        before = {} if "running" in state else last.get("terminated") or {}
        for end in (state.get("terminated") or {}, before):
            message = end.get("message", "")
            if end.get("reason") in ENDS_OF_NOTE or OTHER_ARCHITECTURE in message:
                return ContainerTrouble(container["name"], end["reason"], message, image)
    return None


def _not_scheduled(conditions: Raw) -> ContainerTrouble | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return ContainerTrouble("", "Unschedulable", scheduled.get("message", ""))
    return None
