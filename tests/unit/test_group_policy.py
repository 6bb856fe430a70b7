"""Whom the leader of a group calls at a boundary."""

from dataclasses import replace

from edgetrain.group.members import Formation, Pod
from edgetrain.group.policy import decide
from edgetrain.group.record import Accepted, Record
from edgetrain.group.status import Stage
from edgetrain.group.view import CallVote, Nothing
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.unit.test_group_links import FORMATION, MEMBERS, NAMES, NOW, PLAN, PODS, seen_by


def test_at_a_boundary_those_who_are_there_go_on_where_the_plan_names_none_of_them() -> None:
    """Their pods were replaced, and the new ones are not there yet."""
    seen = seen_by("a", {}, since=NOW)
    stopped = {name: replace(status, stage=Stage.STOPPED) for name, status in seen.statuses.items()}
    others = replace(PLAN, pods=tuple(Pod(name, f"new-{name}") for name in NAMES))
    move = decide(replace(seen, statuses=stopped, plan=others))
    assert isinstance(move, CallVote)
    assert [member.worker for member in move.formation.members] == list(NAMES)


def test_who_is_paused_says_of_which_formation_there_are_too_few() -> None:
    """Two of the last three are here, and lack a majority of the four before, who may have trained."""
    last = Formation(4, tuple(MEMBERS[name] for name in "bcd"), "d")
    seen = seen_by("b", {})
    here = {name: replace(seen.statuses[name], stage=Stage.BROKEN, reach=("b", "c")) for name in "bc"}
    attempt = (Accepted(last, formed=True),)
    records = {PODS[name]: Record(PODS[name], FIRST_HISTORY, FORMATION, attempt) for name in "bc"}
    move = decide(replace(seen, statuses=here, formation=last, records=records))
    assert isinstance(move, Nothing)
    assert move.why == "paused: 2 of the 4 members of formation 3 are no majority"
    assert move.waits_for == ("a", "d")
