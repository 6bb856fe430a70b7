"""Who is a member. A worker whose node goes dark stays one; one that cannot be planned with does not join."""

from dataclasses import dataclass, field

from edgetrain_operator.core.context import GroupContext
from edgetrain_operator.core.report_view import HEARD_SECONDS, READY
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.plan import Member

LOST_SECONDS = 1.0
"""From a group's word that a member is lost to its leaving: a worker that lives says so itself by then."""
REJOIN_SECONDS = 5.0
"""A worker that has left twice in a minute comes back no sooner: a flapping node must not churn the plan."""
STEADY_SECONDS = 60.0


@dataclass(frozen=True)
class Membership:
    members: tuple[Member, ...]
    """By worker's name."""
    joined: tuple[str, ...] = ()
    left: dict[str, str] = field(default_factory=dict)
    """Worker -> why."""


def membership(scene: GroupContext) -> Membership:
    """The members from now on."""
    left = {m.worker: why for m in scene.members if (why := why_leaves(scene, m))}
    stay = {m.worker: _refreshed(scene, m) for m in scene.members if m.worker not in left}
    join = {w: m for w in scene.records if w not in stay and w not in left and (m := _joiner(scene, w))}
    members = tuple(member for _, member in sorted((stay | join).items()))
    return Membership(members, tuple(sorted(join)), left)


def why_leaves(scene: GroupContext, member: Member) -> str:
    """Why this member leaves; empty where it stays."""
    if why := scene.placement.remove.get(member.node):
        return why
    if group := scene.moved_to(member.worker):
        return f"its node is of group {group} now"
    if scene.job.finished.get(member.worker) == member.pod_uid:
        return ""
    pod = scene.pods.get(member.pod_uid)
    if pod is None:
        return "its pod is gone"
    if pod.ended:
        return f"its pod ended: {pod.phase}"
    if scene.given_up(member.worker):
        return "silent for longer than elastic.offlineGraceSeconds"
    # A group of which nobody is heard trains on by itself: it is left as it is, also where its
    # nodes are being emptied, until one of it is heard again.
    if scene.detached:
        return ""
    return "its pod is being deleted" if pod.deleting else _why_lost(scene, member.worker)


def _why_lost(scene: GroupContext, worker: str) -> str:
    reports, silence = scene.reports, scene.reports.silence(worker)
    if worker in reports.put_out:
        reported, stamped = scene.stored.lost.get(worker, scene.now), reports.report(worker)
        lives = stamped is not None and (stamped.training_received or 0.0) > reported
        settled = min(scene.now - reported, silence) >= LOST_SECONDS
        return "its group reports it lost" if settled and not lives else ""
    # The newest formation speaks for its members: they train, whatever their way to the operator.
    vouched = reports.formation is not None and worker in reports.formation.members
    grace = max(scene.seen.job.spec.elastic.leave_grace_seconds, HEARD_SECONDS)
    # Where nobody trains, its vote may be what the others wait for.
    if scene.reports.trains and not vouched and silence > grace:
        return "silent for longer than elastic.leaveGraceSeconds while others of its group train"
    return ""


def may_rejoin_at(record: WorkerRecord) -> float:
    """From when on a worker that has left may come back; a time, which may be over."""
    flaps = record.left_before > 0 and record.left_at - record.left_before < STEADY_SECONDS
    return record.left_at + (REJOIN_SECONDS if flaps else 0.0)


def _refreshed(scene: GroupContext, member: Member) -> Member:
    """With its present address: a pod's IP changes when its node starts again."""
    stamped = scene.reports.report(member.worker)
    return _member(scene, stamped) if stamped else member


def _joiner(scene: GroupContext, worker: str) -> Member | None:
    record, stamped = scene.records[worker], scene.reports.report(worker)
    pod = scene.pods.get(record.pod_uid)
    if stamped is None or stamped.training is None or pod is None or not pod.living:
        return None
    able = scene.reports.heard(worker) and stamped.training.state in READY
    settled = scene.now >= may_rejoin_at(record) and (stamped.training_received or 0) > record.left_at
    return _member(scene, stamped) if able and settled and record.node in scene.placement.keep else None


def _member(scene: GroupContext, stamped: StampedReport) -> Member:
    head, node = stamped.head, scene.seen.nodes.get(stamped.head.node)
    return Member(
        worker=head.worker,
        node=head.node,
        pod_uid=head.pod_uid,
        address=head.address,
        control_port=head.control_port,
        state_port=head.state_port,
        probe_port=head.probe_port,
        site=node.labels.get(SITE_LABEL, "") if node else "",
    )
