"""Who aggregates: the right one, and for good reason only."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain_operator.core.groups.election import (
    AHEAD_SECONDS,
    MEASURING_SECONDS,
    PROVISIONAL_SECONDS,
    TENURE_SECONDS,
    Ballot,
    Result,
    elect,
    steady_succession,
    succession,
)
from edgetrain_operator.core.groups.reduction import choose, ring_seconds, star_seconds
from edgetrain_operator.core.stored import AggregatorTenure
from edgetrain_operator.fleet_state import NodeRate
from edgetrain_protocol.strategy import Reduction

MBIT = 1e6


def rates(**mbit: float) -> dict[str, NodeRate]:
    return {worker: NodeRate(rate * MBIT, 0.0, "peer") for worker, rate in mbit.items()}


def ballot(
    measured: Mapping[str, NodeRate],
    office: AggregatorTenure | None = None,
    now: float = 1000.0,
    **more: object,
) -> Ballot:
    workers = sorted({*measured, *([office.worker] if office else [])})
    plain = Ballot(workers, {w: f"node-{w}" for w in workers}, measured, office, "", now)
    return replace(plain, **more)  # type: ignore[arg-type]


def in_office(worker: str, mbit: float, since: float = 0.0) -> AggregatorTenure:
    return AggregatorTenure(
        worker=worker,
        node=f"node-{worker}",
        since=since,
        reason="r",
        measured=True,
        bits_per_second=mbit * MBIT,
    )


def test_the_best_connected_is_elected_on_measurements() -> None:
    result = elect(ballot(rates(a=20, b=100, c=50)))
    assert (result.office.worker, result.office.runner_up) == ("b", "c")
    assert result.office.bits_per_second == 100 * MBIT
    assert result.changed


@pytest.mark.parametrize("seed", range(20))
def test_the_right_one_in_any_line_up_whatever_order_measurements_come_in(seed: int) -> None:
    dice = random.Random(seed)
    speeds = dict(zip("abcde", dice.sample([100, 50, 40, 20, 10, 5], 5), strict=True))
    order = dice.sample(sorted(speeds), 5)
    office: AggregatorTenure | None = None
    known: dict[str, NodeRate] = {}
    for number, worker in enumerate(["", *order]):
        known |= rates(**{worker: speeds[worker]}) if worker else {}
        all_of_them = ballot(known, office, now=1000.0 + 3 * number, candidates=tuple("abcde"))
        office = elect(all_of_them).office
    assert office is not None
    assert office.worker == max(speeds, key=lambda w: speeds[w])


def test_without_measurements_the_first_is_the_same_everywhere() -> None:
    first = elect(ballot({}, candidates=("c", "a", "b")))
    again = elect(ballot({}, candidates=("b", "c", "a")))
    assert first.office.worker == again.office.worker == "a"
    assert not first.office.measured


def test_one_elected_without_measurements_yields_to_those_that_are_there_in_time() -> None:
    office = elect(ballot({}, candidates=("a", "b", "c"))).office
    partly = ballot(
        rates(a=10, b=100), office, now=1000.0 + MEASURING_SECONDS - 1, candidates=("a", "b", "c")
    )
    waiting = elect(partly)
    assert waiting.office.worker == "a"
    assert waiting.look_again_at == 1000.0 + MEASURING_SECONDS
    assert elect(replace(partly, now=1000.0 + MEASURING_SECONDS)).office.worker == "b"


def test_one_that_cannot_be_measured_yields_to_those_that_are() -> None:
    """The group's traffic fills its slow link for as long as it leads."""
    office = elect(ballot({}, candidates=("a", "b", "c"))).office
    late = ballot(rates(b=50, c=100), office, now=1000.0 + MEASURING_SECONDS, candidates=("a", "b", "c"))
    assert elect(late).office.worker == "c"
    assert elect(replace(late, rates=rates(c=100))).office.worker == "a"


def test_the_first_election_on_measurements_is_made_good_once_and_soon() -> None:
    """Measures fall short while pods begin: of the best link's too, by less than it takes to move anybody
    later."""
    first = elect(ballot(rates(a=51, b=48))).office
    assert first.worker == "a"
    after = run([rates(a=51, b=66)] * 5, first)
    assert [result.office.worker for result in after] == ["a", "a", "a", "b", "b"]
    assert not any(result.changed for result in run([rates(a=66, b=51)] * 60, after[-1].office))
    late = first.model_copy(update={"since": 1000.0 - PROVISIONAL_SECONDS})
    assert not any(result.changed for result in run([rates(a=51, b=66)] * 60, late))


def run(
    measurements: list[dict[str, NodeRate]], office: AggregatorTenure, every: float = 5.0
) -> list[Result]:
    """Elections one after another, as probes come in."""
    results = []
    for number, measured in enumerate(measurements):
        results.append(elect(ballot(measured, office, now=1000.0 + every * number)))
        office = results[-1].office
    return results


FACTORS = st.floats(0.801, 1.199)


@given(st.lists(st.tuples(FACTORS, FACTORS, FACTORS), min_size=20, max_size=60))
def test_noise_of_a_fifth_moves_nobody_however_it_falls(noise: list[tuple[float, float, float]]) -> None:
    measured = [rates(a=100 * a, b=100 * b, c=90 * c) for a, b, c in noise]
    assert not any(result.changed for result in run(measured, in_office("a", 100)))


def test_a_better_one_moves_in_after_tenure_and_when_ahead_for_a_while() -> None:
    better = [rates(a=50, b=100)] * 20
    results = run(better, in_office("a", 50, since=1000.0))
    moved = next(n for n, result in enumerate(results) if result.changed)
    assert moved * 5.0 == TENURE_SECONDS
    results = run(better, in_office("a", 50, since=0.0))
    moved = next(n for n, result in enumerate(results) if result.changed)
    assert moved * 5.0 == AHEAD_SECONDS
    assert results[moved].office.worker == "b"
    assert "1.5 times" in results[moved].office.reason


def test_an_election_on_the_first_measurements_is_put_right_without_tenure() -> None:
    """A fast node that so far was probed by slow partners alone proves better a little later."""
    office = elect(ballot({}, candidates=("a", "b"))).office
    office = elect(ballot(rates(a=28, b=20), office)).office
    results = run([rates(a=28, b=96)] * 10, office)
    moved = next(n for n, result in enumerate(results) if result.changed)
    assert moved * 5.0 == AHEAD_SECONDS
    assert not any(r.changed for r in run([rates(a=200, b=96)] * 10, results[moved].office, every=4.0))


def test_a_lead_that_is_lost_again_does_not_count() -> None:
    flapping = [rates(a=100, b=180), rates(a=100, b=100)] * 20
    assert not any(result.changed for result in run(flapping, in_office("a", 100)))


def test_a_confirmed_fourfold_drop_moves_at_once() -> None:
    office = in_office("a", 100, since=999.0)
    assert elect(ballot(rates(a=25, b=50), office)).office.worker == "b"
    assert elect(ballot(rates(a=33, b=60), office)).office.worker == "b", "measured a fifth too high"
    assert not elect(ballot(rates(a=40, b=70), office)).changed


def test_a_drop_is_from_the_most_that_was_shown_in_office() -> None:
    office = elect(ballot(rates(a=96, b=48), in_office("a", 62))).office
    assert office.bits_per_second == 96e6
    assert elect(ballot(rates(a=24, b=48), office)).office.worker == "b"


def test_an_alarm_without_a_probe_moves_nobody() -> None:
    office, measured = in_office("a", 100, since=999.0), rates(a=25, b=50)
    measured["a"] = replace(measured["a"], confirmed=False)
    assert not elect(ballot(measured, office)).changed


def test_an_incumbent_that_a_new_operator_has_not_measured_yet_stays() -> None:
    assert not any(result.changed for result in run([rates(b=50, c=20)] * 30, in_office("a", 100)))


def test_a_first_election_on_doubtful_measurements_waits_for_their_probes() -> None:
    office = elect(ballot({}, candidates=("a", "b"))).office
    measured = rates(a=20, b=50)
    measured["b"] = replace(measured["b"], confirmed=False)
    assert elect(ballot(measured, office)).office == office
    assert elect(ballot(rates(a=20, b=50), office)).office.worker == "b"


def test_a_drop_of_all_links_alike_moves_nobody() -> None:
    assert not elect(ballot(rates(a=25, b=24), in_office("a", 100))).changed


def test_when_the_aggregator_is_gone_the_one_whom_the_group_put_in_front_stays() -> None:
    gone = in_office("a", 100)
    left = ballot(rates(b=50, c=60), gone, candidates=("b", "c"), acting="b")
    assert elect(left).office.worker == "b"
    assert elect(replace(left, rates=rates(b=20, c=60))).office.worker == "c"


def test_one_that_is_back_takes_up_the_office_it_was_lost_from_at_once() -> None:
    known = rates(a=100, b=50, c=40)
    lost = elect(ballot(known, in_office("a", 100), now=1000.0, candidates=("b", "c"), acting="b"))
    assert (lost.office.worker, lost.office.reason) == ("b", "node-a left")
    back = elect(ballot(known, lost.office, now=1005.0))
    assert (back.office.worker, back.changed) == ("a", True)
    assert back.office.reason == "is back, with more than 1.5 times the bandwidth of node-b"


def test_one_that_was_lost_soon_after_its_election_is_back_as_a_challenger() -> None:
    known = rates(a=100, b=50, c=40)
    office = in_office("a", 100, since=1000.0 - TENURE_SECONDS / 2)
    lost = elect(ballot(known, office, now=1000.0, candidates=("b", "c"), acting="b"))
    back = elect(ballot(known, lost.office, now=1005.0))
    assert (back.office.worker, back.office.challenger) == ("b", "a")


def test_one_that_is_back_with_no_better_a_link_does_not_lead() -> None:
    lost = elect(ballot(rates(b=50, c=40), in_office("a", 100), candidates=("b", "c"), acting="b"))
    back = elect(ballot(rates(a=60, b=50, c=40), lost.office, now=1005.0))
    assert (back.office.worker, back.changed) == ("b", False)


def test_succession_is_by_bandwidth_newcomers_last_and_steady() -> None:
    line = succession("b", ["a", "b", "c", "d"], rates(a=10, b=100, c=50, d=90), ["d"])
    assert line == ("b", "c", "a", "d")
    noisy = rates(a=55, b=100, c=50, d=90)
    assert steady_succession(line, "b", ["a", "b", "c", "d"], noisy, []) == line
    assert steady_succession(line, "c", ["a", "b", "c", "d"], noisy, []) == ("c", "b", "d", "a")


def test_reduction_by_prediction() -> None:
    line_up = rates(a=100, b=50, c=20, d=20, e=10)
    workers = tuple("abcde")
    assert choose(Reduction.AUTO, None, "a", workers, line_up, 4_000_000) is Reduction.STAR
    assert choose(Reduction.AUTO, None, "e", workers, line_up, 4_000_000) is Reduction.RING
    equal = rates(a=20, b=20, c=20, d=20, e=20)
    assert choose(Reduction.AUTO, Reduction.STAR, "a", workers, equal, 4_000_000) is Reduction.RING
    assert choose(Reduction.RING, None, "a", workers, line_up, 4_000_000) is Reduction.RING
    assert choose(Reduction.AUTO, Reduction.STAR, "a", workers, rates(a=100), 4_000_000) is Reduction.STAR
    assert choose(Reduction.AUTO, Reduction.STAR, "a", ("a", "b"), equal, 4_000_000) is Reduction.STAR


def test_predictions_are_those_that_were_measured() -> None:
    """4 MB over five nodes: a ring took 5.5 s, a star through the 100 Mbit/s node 3.5 s, and 15.5 s
    through the 10 Mbit/s node."""
    bits = 8 * 4e6
    assert ring_seconds(bits, [100e6, 50e6, 20e6, 20e6, 10e6]) == pytest.approx(5.5, rel=0.1)
    assert star_seconds(bits, 100e6, [50e6, 20e6, 20e6, 10e6]) == pytest.approx(3.5, rel=0.1)
    assert star_seconds(bits, 10e6, [100e6, 50e6, 20e6, 20e6]) == pytest.approx(15.5, rel=0.2)
