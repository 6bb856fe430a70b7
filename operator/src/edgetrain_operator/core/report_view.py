"""Who is heard, who is silent, and what each says of itself: in that a worker is believed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.history import History
from edgetrain_protocol.report import TrainerState, TrainingPart, Voter

Ordered = TypeVar("Ordered", int, tuple[int, int], History)

READY = frozenset({TrainerState.WAITING, TrainerState.JOINING, TrainerState.TRAINING, TrainerState.PAUSED})
"""States in which a worker can be planned with."""
HEARD_SECONDS = 5.0
"""A worker reports every 2 s; one report may be late or lost."""
TAKE_OVER_SECONDS = 15.0
"""Until all workers have found a new leader, a missing report says nothing."""
STEPS_AHEAD = 1000
"""No worker gets so far ahead of the others between two of their reports."""


@dataclass(frozen=True)
class ReportView:
    """The reports of a job, each taken only from its worker's present pod."""

    seen: Observed
    records: Mapping[str, WorkerRecord]

    def report(self, worker: str) -> StampedReport | None:
        stamped, record = self.seen.reports.get(worker), self.records.get(worker)
        current = stamped and record and stamped.head.pod_uid == record.pod_uid
        return stamped if current else None

    def training(self, worker: str) -> TrainingPart | None:
        stamped = self.report(worker)
        return stamped.training if stamped else None

    def silence(self, worker: str) -> float:
        """Seconds without a word of its supervisor; 0 where that is unknown, shortly after this operator
        began. The profiler's word does not count: it goes on when the supervisor is gone."""
        stamped = self.report(worker)
        heard = stamped.training_received if stamped else None
        last = self.seen.since + TAKE_OVER_SECONDS if heard is None else heard
        return max(self.seen.now - last, 0.0)

    def heard(self, worker: str) -> bool:
        return self.training(worker) is not None and self.silence(worker) <= HEARD_SECONDS

    def any_heard(self, workers: Iterable[str]) -> bool:
        return any(self.heard(worker) for worker in workers)

    def ready(self, worker: str) -> bool:
        """Whether its program has come to its loop: what it says of its checkpoints is the whole of them."""
        part = self.training(worker)
        return part is not None and part.state in READY

    def restarted(self, voter: Voter) -> bool:
        """Whether the worker itself says that its program has started anew since, in the same pod."""
        record, part = self.records.get(voter.worker), self.training(voter.worker)
        same_pod = record is not None and record.pod_uid == voter.pod_uid
        now = part.incarnation if part else ""
        return bool(same_pod and voter.incarnation and now and now != voter.incarnation)

    @cached_property
    def parts(self) -> Mapping[str, TrainingPart]:
        """Of all workers that are heard."""
        return {w: part for w in self.records if self.heard(w) and (part := self.training(w))}

    @cached_property
    def could_train(self) -> Mapping[str, TrainingPart]:
        """Of those who do, or would if they were not waiting for others, or did not hang."""
        able = READY | {TrainerState.HUNG}
        return {w: part for w, part in self.parts.items() if part.state in able}


def borne_out(said: Iterable[Ordered]) -> Ordered:
    """The second highest, which somebody else goes as far as or beyond; of one alone, its own.

    Raises:
        IndexError: nobody says anything.
    """
    return sorted(said, reverse=True)[:2][-1]


def agreed(said: Iterable[int], ahead: int = STEPS_AHEAD) -> int:
    """The highest; of one that is far above all others, no more than `ahead` of them."""
    first, second, *_ = *sorted(said, reverse=True), 0, 0
    return min(first, second + ahead) if second else first
