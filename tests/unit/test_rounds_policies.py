"""When a round is closed: each policy waits for what it says, until a time it names, and loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.rounds.entries import UpdateKey
from edgetrain.rounds.policies import (
    Arrival,
    Close,
    Expected,
    Policy,
    Round,
    Wait,
    bounded_staleness,
    deadline,
    quorum_of_groups,
    quorum_of_updates,
    sync,
)
from edgetrain_protocol.history import History

POLICIES: list[Policy] = [sync, quorum_of_groups(2), quorum_of_updates(20), deadline(5), bounded_staleness(2)]


def group(name: str, until: float = 10, heard: bool = True, behind: int = 0) -> Expected:
    return Expected(History(1, name, 1), heard, until, behind)


def arrival(name: str, steps: int = 10) -> Arrival:
    return Arrival(UpdateKey(History(1, name, 1), 1), steps)


def closed(*arrivals: Arrival) -> Close:
    return Close(tuple(each.key for each in arrivals))


A, B, C = arrival("a"), arrival("b"), arrival("c")
THREE = (group("a"), group("b"), group("c", until=12))


@pytest.mark.parametrize(
    ("policy", "round_", "now", "expected"),
    [
        (sync, Round(0, THREE, (A, B, C)), 1, closed(A, B, C)),
        (sync, Round(0, THREE, (A, B)), 1, Wait(12)),
        (sync, Round(0, THREE, (A, B)), 12, closed(A, B)),
        (sync, Round(0, (*THREE[:2], group("c", heard=False)), (A, B)), 1, closed(A, B)),
        (sync, Round(0, THREE, ()), 20, Wait(21)),
        (quorum_of_groups(2), Round(0, THREE, (A, C)), 1, closed(A, C)),
        (quorum_of_groups(2), Round(0, THREE, (A,)), 1, Wait(10)),
        (quorum_of_groups(2), Round(0, THREE, (A,)), 12, closed(A)),
        (quorum_of_updates(20), Round(0, THREE, (arrival("a", 20),)), 1, closed(A)),
        (quorum_of_updates(20), Round(0, THREE, (A,)), 1, Wait(10)),
        (deadline(5), Round(2, THREE, (A, B, C)), 6, Wait(7)),
        (deadline(5), Round(2, THREE, (A,)), 7, closed(A)),
        (deadline(5), Round(2, THREE, ()), 9, Wait(10)),
        (bounded_staleness(2), Round(0, THREE, (B,)), 1, closed(B)),
        (bounded_staleness(2), Round(0, (group("a", behind=2), group("b")), (B,)), 1, Wait(10)),
        (bounded_staleness(2), Round(0, (group("a", behind=2), group("b")), (B,)), 10, closed(B)),
        (bounded_staleness(2), Round(0, (group("a", behind=2, heard=False), group("b")), (B,)), 1, closed(B)),
    ],
)
def test_a_round_is_closed_or_waits(
    policy: Policy, round_: Round, now: float, expected: Close | Wait
) -> None:
    assert policy(round_, now) == expected


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Round, float]:
    names = draw(st.sets(st.sampled_from("abcde"), min_size=1))
    groups = tuple(
        group(n, draw(st.floats(0, 50)), draw(st.booleans()), draw(st.integers(0, 4))) for n in sorted(names)
    )
    here = draw(st.sets(st.sampled_from(sorted(names))))
    arrived = tuple(arrival(name, draw(st.integers(1, 30))) for name in sorted(here))
    return Round(draw(st.floats(0, 10)), groups, arrived), draw(st.floats(10, 60))


@given(rounds(), st.sampled_from(POLICIES))
def test_whoever_has_come_is_merged_by_the_times_that_a_policy_names(
    of: tuple[Round, float], policy: Policy
) -> None:
    round_, now = of
    for _ in range(len(round_.groups) + 2):
        decided = policy(round_, now)
        if isinstance(decided, Close):
            assert decided.keys == tuple(each.key for each in round_.arrived)
            return
        assert decided.until > now
        now = decided.until
    assert round_.arrived == ()
