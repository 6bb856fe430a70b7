"""Before the first step: what the job waits for, whether that can be mended by waiting, and for how long."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.hindrances import hindrance, lasts
from edgetrain_operator.core.model import Observed, PodView, Trouble
from edgetrain_operator.core.observe import unix_time
from edgetrain_operator.core.placement import can_run, matches
from edgetrain_operator.core.report_view import TAKE_OVER_SECONDS
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.troubles import job_troubles, node_trouble, of_pod, others
from edgetrain_protocol.plan import Phase

START_DEADLINE = "StartDeadlineExceeded"


def with_hindrances(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    """The records, with what keeps their pods from starting. By worker."""
    # A kubelet that is not heard tries nothing, for all that is known, whatever it has said last.
    heard = {node.name for node in seen.nodes.values() if node.ready}
    pods = {} if begun(seen) else {pod.uid: pod for pod in seen.pods if pod.node in heard}
    return {w: _with_hindrance(record, pods.get(record.pod_uid), seen.now) for w, record in records.items()}


def _with_hindrance(record: WorkerRecord, pod: PodView | None, now: float) -> WorkerRecord:
    found = hindrance(record.hindrance, pod, now)
    return record if found == record.hindrance else record.model_copy(update={"hindrance": found})


def begun(seen: Observed) -> bool:
    """Whether a step is known to have been trained, or may have been: a later generation may have gone back
    to the program's beginning. status says so where the ConfigMap was lost."""
    plan, groups = seen.stored.plan, seen.stored.groups.values()
    in_plan = plan is not None and any(of.begun or of.generation > 1 for of in plan.groups)
    return in_plan or any(group.durable for group in groups) or seen.job.status.progress.step > 0


def in_vain(scene: DecisionContext) -> Trouble | None:
    """Why waiting for the first step is in vain: too few nodes are left on which nothing lasting is wrong."""
    found = _hindered(scene)
    if not found or _has_begun(scene):
        return None
    able, least = _able(scene, found), scene.seen.job.spec.nodes.min
    # Where it would be too few without that as well, more nodes are waited for anyway.
    if able > 0 and not able < least <= able + len(found):
        return None
    first, *more = (found[node] for node in sorted(found))
    left = f"waiting does not mend it: {able} nodes are left, spec.nodes.min is {least}"
    return replace(first, message=f"{first.message}{others([first, *more])}; {left}")


def _able(scene: DecisionContext, found: Collection[str]) -> int:
    """How many workers there may still be without these nodes."""
    spec = scene.seen.job.spec
    able = set(scene.placement.wanted)
    if len(found) == 1:
        # What is wrong on one node alone may be that node's, so others may come that are away now.
        out = {record.node for record in scene.records.values() if record.left_out}
        able = {n.name for n in scene.seen.nodes.values() if matches(n, spec) and can_run(n)} - out
    return max(min(len(able - set(found)), spec.nodes.max - len(found)), 0)


def overdue(scene: DecisionContext) -> str:
    """That runPolicy.startDeadlineSeconds is over without a step, and for what it was waited; else empty."""
    seen = scene.seen
    deadline, started = seen.job.spec.run_policy.start_deadline_seconds, unix_time(seen.job.status.start_time)
    if deadline is None or not started or seen.now - started < deadline:
        return ""
    if _has_begun(scene) or _may_have_begun(scene):
        return ""
    return f"no step was trained within runPolicy.startDeadlineSeconds ({deadline}): {_awaited(scene)}"


def _hindered(scene: DecisionContext) -> dict[str, Trouble]:
    """By node: what has been wrong for long, of those that are asked for."""
    found = {}
    for record in scene.records.values():
        pod, known = scene.pods.get(record.pod_uid), record.hindrance
        if pod is None or known is None or not lasts(known, scene.now):
            continue
        trouble = of_pod(scene, pod)
        if trouble and record.node in scene.placement.wanted:
            found[record.node] = trouble
    return found


def _has_begun(scene: DecisionContext) -> bool:
    """One worker's word is enough, since no job ends by it."""
    return begun(scene.seen) or any(part.step > 0 for part in scene.reports.parts.values())


def _may_have_begun(scene: DecisionContext) -> bool:
    """Whether there are members of whom nothing is known: they train on while nobody hears them."""
    if scene.now < scene.seen.since + TAKE_OVER_SECONDS:
        return True
    if scene.plan is None or scene.plan.phase is not Phase.TRAIN:
        return False
    silent = not scene.reports.any_heard(m.worker for m in scene.members)
    return silent and any(not scene.over(m.worker, m.pod_uid) for m in scene.members)


def _awaited(scene: DecisionContext) -> str:
    of_nodes = (node_trouble(scene, worker) for worker in sorted(scene.records))
    found = [*job_troubles(scene), *(trouble for trouble in of_nodes if trouble)]
    if found:
        return f"{found[0].reason}: {found[0].message}{others(found)}"
    heard = sum(scene.reports.ready(worker) for worker in scene.records)
    return f"{heard} of {len(scene.placement.wanted)} workers were ready to train"
