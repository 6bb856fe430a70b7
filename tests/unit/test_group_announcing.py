"""What a supervisor tells the others of itself: what they decide by, and not each step."""

from dataclasses import replace

from edgetrain.group.effects import Announce, Build, Effect, formation_id
from edgetrain.group.machine import Group
from edgetrain.group.members import Member, Pod
from edgetrain.group.status import PlanView, Stage, Status
from edgetrain.link import Built, Halted, Position, Progress, Started
from tests.support.histories import FIRST as FIRST_HISTORY

A = Pod("a", "pod-a")
ONE = Member(*A, "i1")
ALONE = PlanView(FIRST_HISTORY, 1, (A,), ("a",), (A,))


def told(effects: list[Effect]) -> list[Status]:
    return [e.message for e in effects if isinstance(e, Announce) and isinstance(e.message, Status)]


def test_steps_are_told_once_training_stops() -> None:
    group = Group(A, None, 0.0)
    group.on_plan(ALONE, 0.1)
    group.on_ready(ONE, "layout", 0.2)
    effects = group.on_trainer(Started(Position()), 0.3)
    (word,) = (effect.word for effect in effects if isinstance(effect, Build))
    formation = formation_id(word)
    assert [status.stage for status in told(group.on_trainer(Built(formation), 0.4))] == [Stage.TRAINING]
    # The first step in a formation is told: others are to know that it has committed.
    (first,) = told(group.on_trainer(Progress(formation, "apply", 1), 0.5))
    assert first.base == word.formation.number
    for step in range(2, 5):
        assert group.on_trainer(Progress(formation, "apply", step), 0.5 + step / 100) == []
    assert group.status.committed == 4
    assert told(group.on_time(1.0)) == []
    # What is told for another reason says how far it is.
    (planned,) = told(group.on_plan(replace(ALONE, revision=2), 1.1))
    assert planned.committed == 4
    # Newcomers that stand there as well enter the next one, which is called at once.
    (stopped,) = told(group.on_trainer(Halted(formation, Position(FIRST_HISTORY, formation, 6)), 1.2))
    assert (stopped.stage, stopped.committed) == (Stage.FORMING, 6)
