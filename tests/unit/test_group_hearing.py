"""Whose word counts: of who is planned, and of who has a vote that may be needed. Others are heard once a
plan names them."""

from dataclasses import replace

import pytest

from edgetrain.group.effects import Asked, Between, Send, VotesLost
from edgetrain.group.machine import Group
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Accepted, Record
from edgetrain.group.said import Call, Established
from edgetrain.group.status import PlanView, Stage, Status
from edgetrain.link import Decision
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation

A, B, X = (Pod(name, f"pod-{name}") for name in "abx")
ONE, TWO, THREE = (Member(*pod, "i1") for pod in (A, B, X))
FOUNDING = Formation(0, (ONE.founder(), TWO.founder()), "a")
FIRST = Formation(5, (ONE, THREE), "a")


def plan(*pods: Pod, revision: int = 1) -> PlanView:
    return PlanView(FIRST_HISTORY, revision, pods, tuple(p.worker for p in pods), (A, B))


def group() -> Group:
    """Of a, whose program is ready; b and a are planned, x is not."""
    made = Group(A, None, 0.0)
    made.on_plan(plan(A, B), 0.1)
    made.on_ready(ONE, "layout", 0.2)
    return made


def status(member: Member, **said: object) -> Status:
    return replace(Status(member.home, member, history=of_generation(1), layout="layout"), **said)  # type: ignore[arg-type]


def record(pod: Pod, *accepted: Formation, **said: object) -> Record:
    base = Record(pod, FIRST_HISTORY, FOUNDING, tuple(Accepted(f, formed=True) for f in accepted), promised=9)
    return replace(base, **said)  # type: ignore[arg-type]


def test_who_is_not_planned_supersedes_and_estranges_nobody() -> None:
    ours = group()
    ours.on_status(status(THREE, stage=Stage.TRAINING, formation=7, base=7, closed=10**9), 1.0)
    assert ours.statuses == {}
    assert ours.ballot and not ours.ballot.record.stranger
    view = ours.see(1.0)
    assert not view.superseded and view.number() == 1
    # The same of one that is planned counts.
    ours.on_status(status(TWO, stage=Stage.TRAINING, formation=7, base=7), 1.0)
    assert ours.see(1.0).superseded


@pytest.mark.parametrize(
    "message",
    [
        Call(FIRST_HISTORY, Formation(3, (ONE, THREE), "x")),
        Asked(FIRST_HISTORY, FIRST, THREE),
        Established(FIRST_HISTORY, FIRST, (ONE,), Decision.NONE, 0),
    ],
)
def test_what_it_asks_is_not_done(message: Between) -> None:
    ours = group()
    assert ours.on_said(X, message, 1.0) == []
    done = ours.on_said(B, Call(FIRST_HISTORY, Formation(3, (ONE, TWO), "b")), 1.0)
    assert any(isinstance(effect, Send) for effect in done)


def test_what_it_shows_of_votes_takes_nobody_s_away() -> None:
    ours = group()
    assert not any(isinstance(effect, VotesLost) for effect in ours.on_record(record(X, FIRST), 1.0))
    assert ours.on_record(record(X, ended=(TWO,)), 1.0) is not None and ours.see(1.0).ended == frozenset()


def test_who_spoke_before_its_plan_came_is_heard_with_it() -> None:
    ours = group()
    ours.on_status(status(THREE, stage=Stage.STARTED), 1.0)
    ours.on_record(record(X, ended=(THREE._replace(incarnation="i0"),)), 1.0)
    ours.on_plan(plan(A, B, X, revision=2), 2.0)
    assert set(ours.statuses) == {"x"}
    assert ours.see(2.0).ended == {THREE._replace(incarnation="i0")}


def test_a_pod_sees_what_it_has_forgotten_before_it_votes_by_its_first_plan() -> None:
    bereft = Group(A, None, 0.0)
    bereft.on_ready(ONE, "layout", 0.1)
    bereft.on_record(record(B, replace(FIRST, members=(ONE._replace(incarnation="i0"), TWO))), 0.2)
    effects = bereft.on_plan(plan(A, B), 0.3)
    assert any(isinstance(effect, VotesLost) for effect in effects)
    assert not any(isinstance(effect, Send) for effect in effects)


def test_who_was_let_go_counts_as_long_as_its_vote_may_be_needed() -> None:
    ours = Group(A, record(A, FIRST), 0.0)
    ours.on_plan(plan(A, B), 0.1)
    ours.on_status(status(THREE), 0.2)
    assert set(ours.statuses) == {"x"}
    # By the record of another who is planned, too: it must have been in what that has voted for.
    third = group()
    third.on_status(status(THREE), 0.2)
    assert third.statuses == {}
    third.on_record(record(B, replace(FIRST, members=(TWO, THREE))), 0.3)
    third.on_time(0.4)
    assert set(third.statuses) == {"x"}


def test_who_leaves_the_plan_is_heard_no_more() -> None:
    ours = group()
    ours.on_plan(plan(A, B, X, revision=2), 0.5)
    ours.on_status(status(THREE), 1.0)
    assert set(ours.statuses) == {"x"}
    ours.on_plan(plan(A, B, revision=3), 2.0)
    assert ours.statuses == {}


def test_another_pod_of_a_planned_worker_is_not_planned() -> None:
    ours = group()
    ours.on_status(status(TWO._replace(pod="stolen")), 1.0)
    assert ours.statuses == {}
