"""How a group sees its worker's way on, for the operator. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.group.machine import Group
from edgetrain.group.members import Formation, Member
from edgetrain.group.standing import needed
from edgetrain.group.status import Stage
from edgetrain_protocol.report import Quorum, Voter

COUNTED_MOST, VOTERS_MOST = 16, 3000
"""Of a report, which has to fit a request: a voter takes some 120 bytes."""


@dataclass(frozen=True)
class Outlook:
    """How the group sees this worker's way on."""

    counted: Sequence[tuple[Formation, tuple[Member, ...]]] = ()
    """What its next vote must have enough of: each formation with its living members."""
    waits: str = ""
    waits_for: tuple[str, ...] = ()
    moved_at: float | None = None
    """Monotonic: when its trainer last got on; None while it need not."""
    away_seconds: float = 0.0
    """How long its program has been in its own code while it is in no formation."""

    def quorums(self) -> tuple[Quorum, ...]:
        """The newest, where there are too many to tell: the base comes first and is never left out."""
        room = max(2, min(COUNTED_MOST, VOTERS_MOST // max([1, *(len(v) for _, v in self.counted)])))
        counted = [*self.counted[:1], *self.counted[1:][1 - room :]]
        return tuple(
            Quorum(
                number=formation.number,
                aggregator=formation.aggregator,
                voters=tuple(
                    Voter(worker=m.worker, pod_uid=m.pod, incarnation=m.incarnation) for m in living
                ),
            )
            for formation, living in counted
        )


NOTHING_KNOWN = Outlook()


def _voter(member: Member) -> Voter:
    return Voter(worker=member.worker, pod_uid=member.pod, incarnation=member.incarnation)


def outlook(group: Group, now: float) -> Outlook:
    """As it is now; a monotonic time, seconds."""
    pace, stage = group.paces.get(group.pod.worker), group.status.stage
    away = pace is not None and not pace.waiting and stage in (Stage.BROKEN, Stage.FETCHING)
    ready = group.plan is not None and group.plan.train and group.status.member is not None
    trains = stage is Stage.TRAINING and not group.waits_for
    # A large state over a slow link takes its time; that nothing comes of it is noticed by its bytes.
    fetches = stage is Stage.FETCHING and not group.status.stuck
    return Outlook(
        counted=needed(group.see(now)) if group.ballot and group.plan else (),
        waits="" if trains or not ready else group.why,
        waits_for=group.waits_for,
        moved_at=(now if fetches else group.moved_at) if ready else None,
        away_seconds=now - pace.since if away and pace else 0.0,
    )
