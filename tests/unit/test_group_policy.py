"""Whom the leader of a group calls at a boundary."""

from dataclasses import replace

from edgetrain.group.members import Pod
from edgetrain.group.policy import decide
from edgetrain.group.status import Stage
from edgetrain.group.view import CallVote
from tests.unit.test_group_links import NAMES, NOW, PLAN, seen_by


def test_at_a_boundary_those_who_are_there_go_on_where_the_plan_names_none_of_them() -> None:
    """Their pods were replaced, and the new ones are not there yet."""
    seen = seen_by("a", {}, since=NOW)
    stopped = {name: replace(status, stage=Stage.STOPPED) for name, status in seen.statuses.items()}
    others = replace(PLAN, pods=tuple(Pod(name, f"new-{name}") for name in NAMES))
    move = decide(replace(seen, statuses=stopped, plan=others))
    assert isinstance(move, CallVote)
    assert [member.worker for member in move.formation.members] == list(NAMES)
