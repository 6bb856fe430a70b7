"""Whom a group puts out when data do not pass between members who are all heard, and who decides it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edgetrain.group.links import cut_off, is_named
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.policy import NAMED_SECONDS, STARVED_SECONDS, decide, leads, situation
from edgetrain.group.status import PlanView, Stage, Status
from edgetrain.group.view import CallVote, Invite, Move, Nothing, PutOut, View
from edgetrain.supervisor.facts import Facts
from edgetrain.supervisor.training import training_part
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation

NAMES = ("a", "b", "c", "d")
PODS = {name: Pod(name, f"pod-{name}") for name in (*NAMES, "n")}
MEMBERS = {name: Member(*pod, "1") for name, pod in PODS.items()}
FORMATION = Formation(3, tuple(MEMBERS[name] for name in NAMES), "a")
PLAN = PlanView(
    FIRST_HISTORY, 1, tuple(PODS.values()), NAMES, tuple(PODS[name] for name in NAMES), begun=True
)
NOW = 100.0


def status(name: str, *stuck: str, **changes: object) -> Status:
    usual = Status(
        PODS[name],
        MEMBERS[name],
        Stage.TRAINING,
        history=of_generation(1),
        revision=1,
        formation=3,
        base=3,
        committed=40,
        closed=3,
        layout="l",
        reach=NAMES,
        stuck=stuck,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # fields of Status


def seen_by(me: str, stuck: Mapping[str, str], since: float = 0.0) -> View:
    """`stuck`: by whom -> to whom nothing gets through, a letter each."""
    statuses = {name: status(name, *stuck.get(name, "")) for name in NAMES}
    return View(PODS[me], NOW, PLAN, statuses, FORMATION, since=since)


@pytest.mark.parametrize(
    ("stuck", "victim"),
    [
        ({}, None),
        ({"c": "a"}, "c"),
        ({"a": "c"}, "c"),
        ({"a": "c", "c": "a"}, "c"),
        ({"b": "a", "c": "a", "d": "a"}, "a"),
        ({"a": "bcd"}, "a"),
        ({"b": "c", "c": "d"}, "c"),
        ({"b": "x"}, None),
    ],
)
def test_the_end_of_most_pairs_is_cut_off_and_of_equals_the_last_in_line(
    stuck: dict[str, str], victim: str | None
) -> None:
    assert cut_off(seen_by("a", stuck), FORMATION) == victim


def test_words_of_another_formation_or_of_one_who_is_gone_do_not_count() -> None:
    seen = seen_by("a", {"b": "a", "c": "a"})
    late = replace(seen.statuses["b"], formation=2)
    assert cut_off(replace(seen, statuses=seen.statuses | {"b": late}), FORMATION) == "c"
    without = {name: s for name, s in seen.statuses.items() if name != "a"}
    assert cut_off(replace(seen_by("b", {"b": "a", "c": "a"}), statuses=without), FORMATION) is None


def test_it_is_put_out_once_the_others_had_time_to_name_whom_they_do_not_reach() -> None:
    early = decide(seen_by("a", {"c": "a"}, since=NOW))
    assert isinstance(early, Nothing) and early.until == NOW + NAMED_SECONDS
    assert _put_out(decide(seen_by("a", {"c": "a"}, since=NOW - NAMED_SECONDS))) == "c"
    first, more = seen_by("a", {"c": "a"}), seen_by("a", {"b": "a", "c": "a"})
    assert situation(seen_by("a", {})) != situation(first) == situation(more), "from the first name on"
    assert isinstance(decide(seen_by("a", {})), Nothing)


def test_an_aggregator_whose_own_link_is_bad_does_not_decide_about_the_others() -> None:
    stuck = {"b": "a", "c": "a", "d": "a"}
    assert not leads(seen_by("a", stuck), FORMATION)
    assert _put_out(decide(seen_by("b", stuck))) == "a"
    assert not leads(seen_by("c", stuck), FORMATION)
    alone = seen_by("a", {"b": "a", "c": "a"})
    nobody_else = {name: replace(s, hung=name != "a") for name, s in alone.statuses.items()}
    assert not isinstance(decide(replace(alone, statuses=nobody_else)), PutOut)


def test_both_ends_of_a_pair_try_their_other_links_and_nobody_else() -> None:
    seen = {me: seen_by(me, {"c": "a"}) for me in NAMES}
    assert [me for me in NAMES if is_named(seen[me])] == ["a", "c"]
    assert not is_named(seen_by("a", {}))
    assert not is_named(replace(seen["a"], formation=None))


def test_a_group_that_breaks_meanwhile_is_built_again_without_it() -> None:
    seen = seen_by("a", {"c": "a"})
    broken = replace(seen.statuses["b"], stage=Stage.BROKEN, closed=4)
    seen = replace(seen, statuses=seen.statuses | {"b": broken})
    assert _put_out(decide(seen)) == "c"
    without = decide(replace(seen, barred={"c": NOW + 10}))
    assert isinstance(without, CallVote)
    assert [m.worker for m in without.formation.members] == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("suspects", "leads", "victim"),
    [
        ({"a": "bcd", "b": "a", "c": "a", "d": "a"}, "b", "a"),
        ({"a": "d", "b": "d", "c": "d", "d": "abc"}, "a", "d"),
        ({"a": "b", "c": "b"}, "a", "b"),  # which says nothing, not even where it listens
        ({"c": "d", "d": "c"}, "a", "d"),
    ],
)
def test_whose_connections_cannot_be_built_is_put_out_by_the_same_rule(
    suspects: dict[str, str], leads: str, victim: str
) -> None:
    seen = seen_by(leads, {})
    broken = {
        name: replace(seen.statuses[name], stage=Stage.BROKEN, suspects=tuple(named), closed=3)
        for name, named in suspects.items()
    }
    assert _put_out(decide(replace(seen, statuses=seen.statuses | broken))) == victim
    just_now = replace(seen, statuses=seen.statuses | broken, since=NOW)
    assert isinstance(decide(just_now), Nothing), "others may say more"


def test_a_newcomer_to_whom_nothing_comes_is_sent_to_the_next_donor_in_line() -> None:
    def donor(last: str, *stuck: str, at: float = NOW - STARVED_SECONDS) -> str | None:
        newcomer = status("n", *stuck, stage=Stage.FETCHING, formation=0, base=0)
        seen = seen_by("a", {})
        seen = replace(
            seen, statuses=seen.statuses | {"n": newcomer}, invited={"n": (at, last)} if last else {}
        )
        move = decide(seen)
        return move.donor.worker if isinstance(move, Invite) else None

    assert donor("") == "b"
    assert donor("b") is None, "it is on its way"
    assert donor("b", "b") == "c"
    assert donor("d", "d") == "a"
    assert donor("b", "b", at=NOW) is None, "not many times a second, where nobody's state comes"
    assert donor("c", "b") is None, "what it said of its last donor"
    assert donor("c", at=NOW - 60) == "c", "a slow one is told again, and goes on where it is"


def test_a_newcomer_to_whom_nothing_comes_says_so_in_its_report() -> None:
    def reason(*stuck: str, stage: Stage) -> str | None:
        said = status("n", *stuck, stage=stage, formation=0)
        return training_part(said, Facts(), PLAN, None, {}, NOW).error_reason

    assert reason("b", stage=Stage.FETCHING) == "NoData"
    assert reason(stage=Stage.FETCHING) is None
    assert reason("b", stage=Stage.TRAINING) is None, "a group that is stuck for seconds mends itself"


def _put_out(move: Move) -> str | None:
    return move.worker if isinstance(move, PutOut) else None
