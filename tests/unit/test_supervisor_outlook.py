"""What a supervisor tells of its group's way on: since when its trainer stands still."""

from dataclasses import replace

import pytest

from edgetrain.group.machine import Group
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.status import PlanView, Stage
from edgetrain.supervisor.outlook import Outlook, outlook
from edgetrain_protocol.report import MOST_REQUEST_BYTES, TrainerState, TrainingPart
from tests.support.histories import FIRST as FIRST_HISTORY

POD = Pod("w0", "p0")


def group(stage: Stage, stuck: tuple[str, ...] = ()) -> Group:
    """Ready since 1 s, and told to train."""
    made = Group(POD, None, 0.0)
    made.on_plan(PlanView(FIRST_HISTORY, 1, (POD,), ("w0",), (POD,)), 0.5)
    made.on_ready(Member(*POD, "i1"), "layout", 1.0)
    made.status = replace(made.status, stage=stage, stuck=stuck)
    return made


@pytest.mark.parametrize(
    ("stage", "stuck", "moved_at"),
    [(Stage.BROKEN, (), 1.0), (Stage.FETCHING, (), 90.0), (Stage.FETCHING, ("w1",), 1.0)],
)
def test_who_fetches_gets_on_as_long_as_something_comes(
    stage: Stage, stuck: tuple[str, ...], moved_at: float
) -> None:
    assert outlook(group(stage, stuck), 90.0).moved_at == moved_at


def test_who_need_not_train_does_not_stand_still() -> None:
    waiting = Group(POD, None, 0.0)
    waiting.on_plan(PlanView(FIRST_HISTORY, 1, (POD,), ("w0",), (POD,), train=False), 0.5)
    assert outlook(waiting, 90.0).moved_at is None


def test_what_the_next_vote_of_the_largest_group_needs_fits_a_request() -> None:
    uid = "9a1f7c52-0c9e-4f3f-8b53-6a1d5a1f9a11"
    members = tuple(Member(f"w-{number:08d}", uid, uid) for number in range(1000))
    formations = [(Formation(number, members, members[0].worker), members) for number in range(30)]
    counted = Outlook(counted=formations).quorums()
    assert [q.number for q in counted] == [0, 28, 29]
    part = TrainingPart(state=TrainerState.PAUSED, incarnation=uid, counted=counted)
    assert len(part.model_dump_json(by_alias=True)) < 0.8 * MOST_REQUEST_BYTES
    assert [q.number for q in Outlook(counted=[(f, m[:3]) for f, m in formations]).quorums()] == [
        0,
        *range(15, 30),
    ]
