"""How the nodes of a queue are shared out between its jobs, in small worlds of all kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edgetrain_operator.core.queues.claim import Claim
from edgetrain_operator.core.queues.sharing import STAY_SECONDS, Sharing, share_out

NOW = 10_000.0
LONG_AGO, JUST_NOW = NOW - STAY_SECONDS, NOW - STAY_SECONDS / 2
NODES = "abcdefgh"
GAINS = st.sampled_from([None, 0.0, 0.1, 0.4, 0.9])


def some(bits: int) -> tuple[str, ...]:
    return tuple(node for number, node in enumerate(NODES) if bits >> number & 1)


def claim(number: int, of: tuple[int, ...], gain: float | None) -> Claim:
    """Also one that no sharing would have led to: with a node that is another's as well, or above its max."""
    able, held, fresh, dark, turn, least, most, priority, created = of
    nodes = some(able & held)
    return Claim(
        f"job-{number}",
        priority=priority,
        created=float(created),
        least=least,
        most=(0, least, least + 1, 8)[most],
        able=frozenset(some(able)),
        held={node: JUST_NOW if node in some(fresh) else LONG_AGO for node in nodes},
        gives=nodes[turn:] + nodes[:turn],
        dark=frozenset(some(held & dark)),
        gain=gain,
    )


BITS, SMALL = st.integers(0, 255), st.integers(0, 3)
SHAPE = st.tuples(BITS, BITS, BITS, BITS, st.integers(0, 7), st.integers(1, 4), SMALL, SMALL, SMALL)


def claims() -> st.SearchStrategy[list[Claim]]:
    """The jobs of one queue."""
    drawn = st.lists(st.tuples(SHAPE, GAINS), min_size=1, max_size=4)
    return drawn.map(lambda found: [claim(n, shape, gain) for n, (shape, gain) in enumerate(found)])


def after(of: Sequence[Claim], shared: Sharing) -> list[Claim]:
    """What the jobs claim once that is so."""
    return [replace(claim, held=shared.held[claim.job]) for claim in of]


def ranked(of: Sequence[Claim]) -> list[Claim]:
    return sorted(of, key=lambda claim: (-claim.priority, claim.created, claim.job))


def free(of: Sequence[Claim], shared: Sharing) -> set[str]:
    everywhere: set[str] = set().union(*(claim.able for claim in of))
    return everywhere - {node for held in shared.held.values() for node in held}


@given(claims())
def test_no_node_is_two_jobs_and_none_is_where_its_job_cannot_use_it(of: list[Claim]) -> None:
    shared = share_out(of, NOW)
    nodes = [node for held in shared.held.values() for node in held]
    assert len(nodes) == len(set(nodes))
    assert all(shared.held[claim.job].keys() <= claim.able for claim in of)


@given(claims())
def test_nobody_has_more_than_its_max(of: list[Claim]) -> None:
    shared = share_out(of, NOW)
    assert all(len(shared.held[claim.job]) <= claim.most for claim in of)


@given(claims(), st.integers(1, 8))
def test_who_has_its_min_is_never_taken_below_it(of: list[Claim], least: int) -> None:
    settled = after(of, share_out(of, NOW))
    # Whatever the priority of who comes.
    comes = Claim("new", 9, 0.0, least=least, most=8, able=frozenset(NODES))
    shared = share_out([*settled, comes], NOW)
    for claim in settled:
        assert len(shared.held[claim.job]) >= claim.least or len(claim.held) < claim.least
        lit = [len(held.keys() - claim.dark) for held in (claim.held, shared.held[claim.job])]
        assert lit[1] >= min(lit[0], claim.least) or len(claim.held) < claim.least


@given(claims())
def test_who_cannot_have_its_min_takes_nothing(of: list[Claim]) -> None:
    shared = share_out(of, NOW)
    for claim in of:
        held = shared.held[claim.job]
        if len(held) < claim.least:
            assert held.keys() <= claim.held.keys()


@given(claims())
def test_nobody_waits_for_what_others_could_spare(of: list[Claim]) -> None:
    shared = share_out(of, NOW)
    left = free(of, shared)
    for number, claim in enumerate(ranked(of)):
        lacking = claim.least - len(shared.held[claim.job])
        if claim.most == 0 or lacking <= 0:
            assert claim.job not in shared.within_reach
            continue
        assert shared.within_reach[claim.job] < claim.least
        spare = sum(
            min(surplus, len(shared.held[other.job].keys() & claim.able))
            for other in of
            if (surplus := len(shared.held[other.job].keys() - other.dark) - other.least) > 0
        )
        later = [other for other in ranked(of)[number + 1 :] if len(shared.held[other.job]) < other.least]
        idle = sum(len(shared.held[other.job].keys() & claim.able) for other in later)
        assert len(left & claim.able) + spare + idle < lacking


@given(claims())
def test_no_node_is_left_over_that_somebody_could_use(of: list[Claim]) -> None:
    shared = share_out(of, NOW)
    left = free(of, shared)
    for claim in of:
        if claim.least <= len(shared.held[claim.job]) < claim.most:
            assert not left & claim.able


@given(claims())
def test_shares_are_even_as_far_as_nodes_may_move(of: list[Claim]) -> None:
    shared = share_out(of, NOW)
    for donor in of:
        for receiver in of:
            gives, gets = len(shared.held[donor.job]), len(shared.held[receiver.job])
            lit = len(shared.held[donor.job].keys() - donor.dark)
            able = receiver.least <= gets < receiver.most and lit > donor.least
            moving = {n for n, since in shared.held[donor.job].items() if since <= LONG_AGO} & receiver.able
            assert not (able and moving and gives - gets >= 2)


@given(claims())
def test_again_it_comes_to_the_same(of: list[Claim]) -> None:
    """Also with the jobs in another order, and a while later, up to the time that it names."""
    shared = share_out(of, NOW)
    assert share_out(reversed(of), NOW) == shared
    again = share_out(after(of, shared), NOW)
    assert again.held == shared.held and not again.why
    if again.due is not None:
        assert again.due > NOW
        assert share_out(after(of, shared), again.due - 1).held == shared.held


@given(claims(), st.lists(GAINS, min_size=4, max_size=4))
def test_what_moves_for_its_gain_comes_to_rest(of: list[Claim], gains: list[float | None]) -> None:
    """With gains that stay, however long: no node goes round."""
    now, of = NOW, [replace(claim, gain=gain) for claim, gain in zip(of, gains, strict=False)]
    shared = share_out(of, now)
    for _ in range(len(NODES) * len(of)):
        if shared.due is None:
            break
        now, of = shared.due, after(of, shared)
        shared = share_out(of, now)
    assert shared.due is None


def job(name: str, able: str = NODES, held: str = "", **changes: object) -> Claim:
    since = dict.fromkeys(held, LONG_AGO)
    shape = {"able": frozenset(able), "held": since, "most": 8, **changes}
    return Claim(name, **shape)  # type: ignore[arg-type]


def counts(shared: Sharing) -> Mapping[str, int]:
    return {name: len(held) for name, held in shared.held.items()}


def test_min_goes_by_priority_then_by_age() -> None:
    of = [
        job("old", "abc", least=2, created=1.0),
        job("young", "abc", least=2, created=2.0),
        job("urgent", "abc", least=2, created=3.0, priority=1),
    ]
    shared = share_out(of, NOW)
    assert counts(shared) == {"urgent": 3, "old": 0, "young": 0}
    assert shared.within_reach == {"old": 1, "young": 1}


def test_a_smaller_job_starts_beside_one_that_waits() -> None:
    shared = share_out([job("large", "ab", least=3), job("small", "ab", created=1.0)], NOW)
    assert counts(shared) == {"large": 0, "small": 2}


def test_priority_stops_nobody_who_has_no_more_than_its_min() -> None:
    of = [job("runs", "ab", "ab", least=2), job("urgent", "ab", priority=9)]
    shared = share_out(of, NOW)
    assert counts(shared) == {"urgent": 0, "runs": 2} and not shared.why


def test_who_comes_gets_its_min_at_once_and_an_even_share_of_what_has_stayed_long_enough() -> None:
    fresh = dict.fromkeys("abcdef", JUST_NOW)
    of = [job("first", "abcdef", held=""), job("second", "abcdef", least=2, created=1.0)]
    shared = share_out([replace(of[0], held=fresh), of[1]], NOW)
    assert counts(shared) == {"first": 4, "second": 2}
    assert shared.due == JUST_NOW + STAY_SECONDS
    assert "second needs it for its spec.nodes.min (2)" in shared.why.values()
    later = share_out(after(of, shared), shared.due)
    assert counts(later) == {"first": 3, "second": 3}
    assert list(later.why.values()) == ["first has 4 nodes, second 2"]


def test_a_job_below_its_min_holds_up_nobody_who_comes_before_it() -> None:
    """It does not train as it is."""
    of = [job("first", "abc", "a", least=3), job("second", "bc", "bc", least=3, created=1.0)]
    assert counts(share_out(of, NOW)) == {"first": 3, "second": 0}


def test_what_goes_back_is_what_its_job_can_best_be_without() -> None:
    of = [job("has", "abcd", "abcd", gives=tuple("cadb")), job("comes", "abcd", created=1.0)]
    assert set(share_out(of, NOW).held["comes"]) == {"c", "a"}


def test_who_gains_least_gives_back_what_cannot_be_divided() -> None:
    of = [
        job("slow-links", "abc", "abc", gain=0.1),
        job("fast-links", "def", "def", gain=0.9),
        job("comes", "abcdef", created=1.0),
    ]
    shared = share_out(of, NOW)
    assert counts(shared) == {"fast-links": 2, "slow-links": 2, "comes": 2}
    odd = [
        replace(of[0], held=dict.fromkeys("abc", LONG_AGO)),
        job("fast-links", held="de", gain=0.9, most=3),
    ]
    shared = share_out([replace(claim, able=frozenset("abcde")) for claim in odd], NOW)
    assert counts(shared) == {"fast-links": 3, "slow-links": 2}
    (why,) = shared.why.values()
    assert why == "the last worker adds 10% of a worker's part to slow-links, 90% to fast-links"


def test_an_unknown_or_a_small_gain_moves_nothing() -> None:
    for theirs, mine in ((0.5, 0.9), (0.0, 0.1), (None, 0.9), (0.1, None)):
        of = [job("has", "abc", "ab", gain=theirs), job("wants", "abc", "c", gain=mine)]
        assert counts(share_out(of, NOW)) == {"has": 2, "wants": 1}


def test_who_is_told_to_want_none_gives_all_back() -> None:
    shared = share_out([job("ends", "ab", "ab", most=0), job("waits", "ab", least=2)], NOW)
    assert counts(shared) == {"ends": 0, "waits": 2}
