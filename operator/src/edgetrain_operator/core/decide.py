"""observe -> decide -> apply: the middle. One pure function over everything that was observed."""

from collections.abc import Mapping

from edgetrain_operator.core import attempts, lifecycle, volumes
from edgetrain_operator.core.actions import Action, Create, Decision, DeletePod, Event, MarkOver
from edgetrain_operator.core.barred import why_barred
from edgetrain_operator.core.causes import attributed
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.failure_limits import left_out, limit_events, limited
from edgetrain_operator.core.failure_rules import judged
from edgetrain_operator.core.grouping import grouped, with_group
from edgetrain_operator.core.groups.membership import why_leaves
from edgetrain_operator.core.growth import room
from edgetrain_operator.core.kueue.hold import no_more, within_quota
from edgetrain_operator.core.kueue.workload_actions import look_again_at, workload_actions
from edgetrain_operator.core.lifecycle import Verdict
from edgetrain_operator.core.model import CA, IDENTITY, SERVER, Observed, PodView, Subject
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.placement import Placement, place
from edgetrain_operator.core.planning import Planned, plan_next
from edgetrain_operator.core.pods import worker_pod
from edgetrain_operator.core.queues import granting
from edgetrain_operator.core.refusals import of_kind
from edgetrain_operator.core.rounds.ended import finished
from edgetrain_operator.core.runtimes.pin import with_pin
from edgetrain_operator.core.starting import with_hindrances
from edgetrain_operator.core.status import status, transitions
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.words import remembered
from edgetrain_protocol.report import VOTES_LOST
from edgetrain_protocol.status import JobStatus

BUSY_SECONDS = 1.0
"""Between looks while somebody is silent: silence makes no event."""
NO_FREE_PORTS = "didn't have free ports"
"""What the scheduler says where another pod has one of this one's; no node but its own comes that far."""
PORT_TAKEN = "Address already in use (while attempting to bind"
"""What Python says where something has it that is no pod."""
STEADY_SECONDS = 5.0
"""Between looks while all are heard: one who falls silent is seen after this at the latest."""


def decide(seen: Observed) -> Decision:
    """What follows from the observations. Deciding again over its own result changes nothing."""
    asked, seen = seen, within_quota(seen)
    scene, found = _look(seen, no_more(asked))
    if found is not None:
        wound = lifecycle.wind_down(scene, found)
        planned, actions, timers = plan_next(scene, stop=True), wound[0], [wound[1]]
    else:
        planned = plan_next(scene, stop=False)
        placed_records, placed, timer = _pods(scene, planned.stored.workers)
        first = attempts.first_attempt(seen)
        stored = planned.stored.model_copy(update={"workers": placed_records, "first_attempt": first})
        planned = Planned(stored, planned.events, planned.requeue_at)
        actions, timers = placed, [timer, scene.placement.look_again_at, _next_look(scene)]
    stored = with_pin(planned.stored, seen, actions, found)
    after = status(scene, stored, found)
    news = () if found else granting.events(seen.grant)
    events = (*news, *limit_events(seen.stored.workers, scene.records), *planned.events)
    return Decision(
        stored=stored,
        actions=(*_over(scene), *actions, *workload_actions(asked, after)),
        status=after,
        events=events,
        status_events=transitions(seen.job.status, after),
        requeue_at=min(
            (t for t in (*timers, look_again_at(asked), *planned.requeue_at) if t is not None), default=None
        ),
        reason=_reason(actions, events),
    )


def status_unwritten(seen: Observed) -> JobStatus:
    """What there is to say while no plan can be written: of the one that is stored, not of the next."""
    scene, found = _look(within_quota(seen), no_more(seen))
    return status(scene, seen.stored, found)


def _look(seen: Observed, no_more_workers: str) -> tuple[DecisionContext, Verdict | None]:
    """What is there, and why no worker shall train, if none shall."""
    noted = with_hindrances(seen, judged(seen, remembered(seen, attempts.noted(seen))))
    records = grouped(seen, limited(seen, attributed(seen, noted)))
    scene = DecisionContext(seen, records, _placement(seen, records, no_more_workers))
    found = lifecycle.verdict(scene)
    return (scene, None) if found is None else (DecisionContext(seen, records, Placement()), found)


def _placement(seen: Observed, records: Mapping[str, WorkerRecord], no_more_workers: str) -> Placement:
    holders = {pod.node for pod in seen.pods if pod.living}
    holders |= {records[worker].node for worker in finished(seen, records)}
    senior = {m.node for m in seen.stored.members}
    placed = place(
        seen.nodes,
        seen.job.spec,
        holders,
        senior,
        seen.now,
        left_out(records),
        seen.grant,
        room(seen),
        no_more_workers,
    )
    barred = why_barred(seen)
    return placed.bar(barred) if barred else placed


def _pods(
    scene: DecisionContext, records: dict[str, WorkerRecord]
) -> tuple[dict[str, WorkerRecord], tuple[Action, ...], float | None]:
    """Pods to make and to delete, the records to write before, and when to look again."""
    seen, records = scene.seen, dict(records)
    actions: list[Action] = list(_deletions(scene))
    later: list[float | None] = [_deletions_due(seen)]
    for node in scene.placement.add:
        attempt, worker = attempts.next_attempt(seen, records, node), worker_name(node)
        records[worker] = with_group(seen, worker, attempt.record)
        barred = seen.barred_until(SERVER, IDENTITY, CA, Subject("node", node))
        later.append(barred if attempt.create else attempt.record.retry_at or None)
        if attempt.create and barred is None:
            actions += [DeletePod(p.name, p.uid, "another takes its place") for p in attempt.superseded]
            actions += _creations(seen, node, attempt.record.attempt)
    return records, tuple(actions), min((t for t in later if t is not None), default=None)


def _creations(seen: Observed, node: str, attempt: int) -> list[Action]:
    why = "the node matches" if attempt == 1 else f"attempt {attempt}, the last pod has ended"
    subject = Subject("node", node)
    claims = [
        Create(manifest, f"for the worker on {node}", subject, again=attempt > 1)
        for manifest in volumes.claims(seen.job, node)
    ]
    pod = worker_pod(seen.job, seen.nodes[node], attempt, seen.defaults)
    return [*claims, Create(pod, f"{node}: {why}", subject)]


def _deletions(scene: DecisionContext) -> list[DeletePod]:
    """Living pods that the job no longer wants: on nodes that it left, given up, or superseded."""
    found = []
    for pod in scene.seen.pods:
        why = _why_delete(scene, pod)
        if pod.living and why:
            found.append(DeletePod(pod.name, pod.uid, why))
    return [action for action in found if scene.seen.barred_until(SERVER, action.subject) is None]


def _deletions_due(seen: Observed) -> float | None:
    due = (refusal.retry_at for refusal in of_kind(seen, "pod").values())
    return min((at for at in due if at > seen.now), default=None)


def _why_delete(scene: DecisionContext, pod: PodView) -> str:
    worker = worker_name(pod.node)
    record = scene.records.get(worker)
    if why := scene.placement.remove.get(pod.node):
        return why
    if record and pod.attempt < record.attempt:
        return f"attempt {record.attempt} has taken its place"
    if record is None or record.pod_uid != pod.uid:
        return ""
    if scene.seen.job.spec.template.spec.host_network and _ports_taken(pod, record):
        return "its ports are taken on the node, and the next pod has others"
    part = scene.reports.training(worker)
    if part and part.error_reason == VOTES_LOST:
        return "its votes are lost with its volumes, so only a new pod can take part"
    return "silent for longer than elastic.offlineGraceSeconds" if scene.given_up(worker) else ""


def _ports_taken(pod: PodView, record: WorkerRecord) -> bool:
    """By another pod, which the scheduler knows; or by something else, which a container finds."""
    known = pod.trouble is not None and NO_FREE_PORTS in pod.trouble.message
    ends = (e for e in record.last_ends.values() if e.pod_uid == pod.uid and not e.settled)
    return known or any(PORT_TAKEN in end.words for end in ends)


def _over(scene: DecisionContext) -> list[MarkOver]:
    """Pods that still report and are no more: on nodes that were dark when theirs was deleted. The pods
    were listed after the reports were read, so a new pod is never among them."""
    reporting = {stamped.head.pod_uid for stamped in scene.seen.reports.values()}
    dead = sorted(uid for uid in reporting if uid not in scene.pods)
    given_up = sorted(
        m.pod_uid
        for group in scene.groups
        for m in group.members
        if m.pod_uid not in dead and scene.given_up(m.worker) and why_leaves(group, m)
    )
    return [MarkOver(uid, "its pod is gone") for uid in dead] + [
        MarkOver(uid, "given up") for uid in given_up
    ]


def _next_look(scene: DecisionContext) -> float:
    reports, workers = scene.reports, [m.worker for m in scene.members]
    unsettled = [w for w in workers if not reports.heard(w)]
    return scene.now + (BUSY_SECONDS if unsettled and reports.any_heard(workers) else STEADY_SECONDS)


def _reason(actions: tuple[Action, ...], events: tuple[Event, ...]) -> str:
    words = [
        *(f"{type(a).__name__}: {a.reason}" for a in actions),
        *(f"{e.reason}: {e.message}" for e in events),
    ]
    return "; ".join(words) or "nothing to do"
