"""What the members of one group say of it, and of one another.

Of its group a worker is one voice: what most say counts, and what one alone says where it is all that is left
of the group.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgetrain_operator.core.job_plan import GroupPlan
from edgetrain_operator.core.report_view import ReportView, borne_out
from edgetrain_operator.core.stored import KnownFormation
from edgetrain_protocol import quorum
from edgetrain_protocol.history import History
from edgetrain_protocol.report import Formation, Quorum, TrainerState, TrainingPart, Voter

ASKED = 5
"""So many are compared word by word: each may name a thousand voters."""


@dataclass(frozen=True)
class Knowledge:
    """What one worker says its group's next vote must have enough of."""

    base: int
    counted: tuple[Quorum, ...]

    @cached_property
    def rank(self) -> tuple[int, int]:
        """Who has the higher one knows more."""
        return self.base, max((q.number for q in self.counted), default=0)


@dataclass(frozen=True)
class GroupReports(ReportView):
    """The reports of those whose records are those of one group."""

    history: History
    """Its present one."""
    known: KnownFormation | None
    """Its newest formation, as far as was known before."""
    plan: GroupPlan | None
    over: Callable[[str, str], bool]
    """Whether this pod (worker, uid) will never be heard in it again."""

    @cached_property
    def formation(self) -> Formation | None:
        """The formation of this history in which most are who are in any, by their own word. One alone has
        to be enough of the formation before."""
        said, speakers = self._speakers, sum(map(len, self._speakers.values()))
        formation = max(said, key=lambda formation: len(said[formation]), default=None)
        if formation is None or 2 * len(said[formation]) <= speakers:
            return None
        believed = len(said[formation]) > 1 or self._speaks_for_all(said[formation])
        return formation if believed else None

    @cached_property
    def fellows(self) -> Mapping[str, TrainingPart]:
        """What those say who are in it."""
        return {w: self.parts[w] for w in self._speakers[self.formation]} if self.formation else {}

    @cached_property
    def knowledge(self) -> tuple[Knowledge, ...]:
        """The best of this history. What one alone knows beyond all others is held against what those know,
        and against what was heard before."""
        heard = [k for _, k in sorted(self._knowledge.items())]
        if self._speaks_for_all(self._knowledge):
            return tuple(heard)
        voices = [*heard, *self._known_before]
        lowest = _second_best(voices)
        best = [k for k in heard if k.rank >= lowest]
        return tuple(best if len(best) > 1 else (k for k in voices if k.rank >= lowest))

    @cached_property
    def common_knowledge(self) -> Knowledge | None:
        """What two of those say alike who know the most, or one who is all that is left."""
        best = [k for _, k in sorted(self._knowledge.items())]
        if not self._speaks_for_all(self._knowledge):
            second = _second_best(best)
            best = [k for k in best if k.rank == second][:ASKED]
            best = [k for k, count in Counter(best).most_common(1) if count > 1]
        return best[0] if best else None

    @cached_property
    def trains(self) -> bool:
        """Whether the formation of this history goes on."""
        states = (part.state for part in self.fellows.values())
        return any(state in (TrainerState.TRAINING, TrainerState.FINISHED) for state in states)

    @cached_property
    def committed(self) -> bool:
        """Whether a step is known to have been committed in this history: by two who are heard, or by most of
        those in its formation."""
        know = [w for w, part in self.parts.items() if part.history == self.history and part.base > 0]
        return len(know) > 1 or self.most_of_fellows(lambda part: part.base > 0)

    @cached_property
    def put_out(self) -> frozenset[str]:
        """Whom most of the formation's members report lost."""
        said = Counter(worker for part in self.fellows.values() for worker in set(part.lost))
        lost = {worker for worker, count in said.items() if 2 * count > len(self.fellows)}
        return frozenset(lost.difference(self.formation.members if self.formation else ()))

    @cached_property
    def incarnations(self) -> Mapping[str, str]:
        """Of the formation's members, as they say."""
        return {worker: part.incarnation for worker, part in self.fellows.items()}

    def most_of_fellows(self, is_so: Callable[[TrainingPart], bool]) -> bool:
        """Whether it is so by the word of most of the formation's members that are heard."""
        return 2 * sum(map(is_so, self.fellows.values())) > len(self.fellows)

    def of_history(self, history: History) -> list[TrainingPart]:
        """What those said last who were in this one then, silent by now or not."""
        said = (self.training(worker) for worker in self.records)
        return [part for part in said if part and part.history == history]

    @cached_property
    def _speakers(self) -> Mapping[Formation, list[str]]:
        """Each formation of this history in which anybody says to be, and who."""
        found: dict[Formation, list[str]] = {}
        for worker, part in self.parts.items():
            formation = part.formation
            if formation and formation.history == self.history and worker in formation.members:
                found.setdefault(formation, []).append(worker)
        return found

    @cached_property
    def _knowledge(self) -> Mapping[str, Knowledge]:
        said = ((worker, part) for worker, part in self.parts.items() if part.history == self.history)
        return {worker: Knowledge(part.base, part.counted) for worker, part in said if part.counted}

    @property
    def _known_before(self) -> list[Knowledge]:
        """What was heard before, or what the plan says of a generation that has no formation yet."""
        known = self.known
        if known is not None:
            return [Knowledge(known.base, known.counted)] if known.counted else []
        return [Knowledge(0, (self._founders,))] if self._founders else []

    @property
    def _founders(self) -> Quorum | None:
        return founders(self.plan) if self.plan and self.plan.founders else None

    def _ended(self, voter: Voter) -> bool:
        """Whether, by its own word, the program that was in the formation runs no more."""
        part = self.training(voter.worker)
        failed = part is not None and part.state is TrainerState.FAILED
        return failed or self.restarted(voter)

    def _speaks_for_all(self, speakers: Iterable[str]) -> bool:
        """Whether these are one, and enough of the formation before: of those of it who are left."""
        known = self.known
        before = known.voters if known else self._founders
        if before is None or len(alone := list(speakers)) != 1:
            return False
        left = {v.worker for v in before.voters if not (self.over(v.worker, v.pod_uid) or self._ended(v))}
        here = len(left.intersection(alone))
        return quorum.enough(len(left), here, aggregator_here=before.aggregator in alone)

    def step(self, worker: str) -> int:
        part = self.training(worker)
        return part.step if part and part.history == self.history else 0


def _second_best(voices: Iterable[Knowledge]) -> tuple[int, int]:
    """The rank that two of them have; of one alone, its own."""
    return borne_out([k.rank for k in voices] or [(0, 0)])


def founders(plan: GroupPlan) -> Quorum:
    """Those of whom enough must begin the generation."""
    pods = [Voter(worker=worker, pod_uid=uid) for worker, uid in (f.split("/", 1) for f in plan.founders)]
    return Quorum(number=0, aggregator=pods[0].worker, voters=tuple(pods))
