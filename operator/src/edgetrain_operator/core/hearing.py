"""Who is heard, who is silent, and what the groups say of their members."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.report import Formation, Quorum, TrainerState, TrainingPart

READY = frozenset({TrainerState.WAITING, TrainerState.JOINING, TrainerState.TRAINING, TrainerState.PAUSED})
"""States in which a worker can be planned with."""
HEARD_SECONDS = 5.0
"""A worker reports every 2 s; one report may be late or lost."""
TAKE_OVER_SECONDS = 15.0
"""Until all workers have found a new leader, a missing report says nothing."""


@dataclass(frozen=True)
class Knowledge:
    """What one worker says its group's next vote must have enough of."""

    base: int
    counted: tuple[Quorum, ...]

    @property
    def rank(self) -> tuple[int, int]:
        """Who has the higher one knows more."""
        return self.base, max((q.number for q in self.counted), default=0)


@dataclass(frozen=True)
class Hearing:
    """The reports of a job, each taken only from its worker's present pod."""

    seen: Observed
    records: Mapping[str, WorkerRecord]
    lineage: int

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

    @cached_property
    def formation(self) -> Formation | None:
        """The newest formation of this lineage that a worker who is heard is in."""
        return max((f for _, f in self._speakers), key=lambda f: f.number, default=None)

    @cached_property
    def knowledge(self) -> tuple[Knowledge, ...]:
        """By those who are heard, of this lineage."""
        return tuple(
            Knowledge(p.base, p.counted)
            for p in self.parts.values()
            if p.lineage == self.lineage and p.counted
        )

    @cached_property
    def trains(self) -> bool:
        """Whether somebody who is heard is in a formation of this lineage that goes on."""
        states = (part.state for part, _ in self._speakers)
        return any(state in (TrainerState.TRAINING, TrainerState.FINISHED) for state in states)

    def ready(self, worker: str) -> bool:
        """Whether its program has come to its loop: what it says of its checkpoints is the whole of them."""
        part = self.training(worker)
        return part is not None and part.state in READY

    @cached_property
    def committed(self) -> bool:
        """Whether somebody who is heard knows of a step that was committed in this lineage."""
        return any(part.base > 0 for part in self.parts.values() if part.lineage == self.lineage)

    @cached_property
    def put_out(self) -> frozenset[str]:
        """Whom the newest formation's members report lost."""
        newest = self.formation
        if newest is None:
            return frozenset()
        said = (part.lost for part, f in self._speakers if f.number == newest.number)
        return frozenset(worker for lost in said for worker in lost) - set(newest.members)

    @cached_property
    def incarnations(self) -> Mapping[str, str]:
        """Of the newest formation's members, as they say."""
        newest = self.formation
        return {
            worker: part.incarnation
            for worker, part in self.parts.items()
            if newest and part.formation and part.formation.number == newest.number
        }

    @cached_property
    def parts(self) -> Mapping[str, TrainingPart]:
        """Of all workers that are heard."""
        return {w: part for w in self.seen.reports if self.heard(w) and (part := self.training(w))}

    @cached_property
    def _speakers(self) -> tuple[tuple[TrainingPart, Formation], ...]:
        return tuple(
            (p, p.formation)
            for p in self.parts.values()
            if p.formation and p.formation.lineage == self.lineage
        )

    def step(self, worker: str) -> int:
        part = self.training(worker)
        return part.step if part and part.lineage == self.lineage else 0
