"""The probe scheduler against simulated links: who probes whom, and when. At whose expense, over long times
and in many line-ups: tests/model/test_probe_simulation.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain_operator.fleet.probe_book import ProbeBook
from edgetrain_operator.fleet.probe_needs import Need, ProbedNode
from edgetrain_operator.fleet.probes import choose, view_of
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.report import LinkMeasure, NodePart
from tests.support.fleet import report
from tests.support.probed_fleet import MBIT, fleet_of

LINE_UPS = [(100, 50, 20, 20, 10), (20, 20, 100, 50, 10), (50, 100, 50, 50), (10, 20, 50)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([5, 10, 20, 50, 100, 1000]), min_size=2, max_size=12), st.integers(0, 99))
def test_every_newcomer_is_measured_soon(mbit: list[int], seed: int) -> None:
    fleet = fleet_of(*mbit, seed=seed)
    fleet.run(60 + 5 * len(mbit))
    assert fleet.book.rates(fleet.now).keys() == fleet.rates.keys()


def test_one_that_joins_a_running_fleet_goes_first() -> None:
    fleet = fleet_of(100, 50, 20, 20, 10)
    fleet.run(300)
    fleet.rates["w-new"] = 5 * MBIT
    fleet.due["w-new"] = fleet.now
    joined = fleet.now
    fleet.run(15)
    measured = fleet.book.rates(fleet.now)["w-new"]
    assert measured.bits_per_second == pytest.approx(5 * MBIT)
    assert measured.at - joined < 10


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mbit", LINE_UPS)
def test_fastest_node_is_found_although_its_partners_are_slower(mbit: tuple[int, ...], seed: int) -> None:
    fleet = fleet_of(*mbit, noise=0.05, seed=seed)
    fleet.run(90)
    assert fleet.best() == f"w-{mbit.index(max(mbit))}"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mbit", LINE_UPS)
def test_first_election_on_all_rates_takes_the_right_one(mbit: tuple[int, ...], seed: int) -> None:
    fleet = fleet_of(*mbit, noise=0.05, seed=seed)
    while fleet.book.rates(fleet.now).keys() != fleet.rates.keys():
        fleet.run(0.5)
        assert fleet.now < 1060, "not all rates are known within a minute"
    assert fleet.best() == f"w-{mbit.index(max(mbit))}"


def test_a_node_that_only_slow_partners_have_probed_is_stretched_whatever_they_made_it_owe() -> None:
    """A 100 Mbit/s node whose first probe was with one of 10 is charged as if it had no more itself."""
    limited = ProbedNode("a", seen=0, heard=60, rate=11 * MBIT, probed=10, offered=10 * MBIT, credit=-1.6)
    hubs = [ProbedNode(name, seen=0, heard=60, rate=20 * MBIT, probed=50) for name in "bc"]
    probe = choose("a", view_of({node.worker: node for node in [limited, *hubs]}, 60), set(), 60)
    assert probe is not None
    assert (probe.need, probe.peers) == (Need.STRETCH, ("b", "c"))


def test_a_second_opinion_has_help_of_those_whose_word_is_in_doubt_where_the_others_have_too_little() -> None:
    """A node of 86 Mbit/s fell, and two have said so. The rest together could not tell."""
    fallen = ProbedNode(
        "a", seen=0, heard=60, rate=86 * MBIT, probed=50, alarm=55, doubted=frozenset("bc"), credit=1
    )
    rates = {"b": 50, "c": 20, "d": 20, "e": 10}
    others = [ProbedNode(n, seen=0, heard=60, rate=r * MBIT, probed=50, credit=1) for n, r in rates.items()]
    probe = choose("a", view_of({node.worker: node for node in [fallen, *others]}, 60), set(), 60)
    assert probe is not None
    assert probe.need is Need.ALARM
    assert probe.peers[0] == "d"
    assert "b" in probe.peers


def test_who_holds_another_down_measures_with_it_again_and_alone() -> None:
    """By its own measures it has 95 Mbit/s, and it would not be a partner again for what others saw of it."""
    held = ProbedNode("a", seen=0, heard=60, rate=7 * MBIT, probed=0, held_by=frozenset("cd"), credit=1)
    rates = {"b": 50, "c": 20, "d": 20}
    others = [
        ProbedNode(n, seen=0, heard=60, rate=r * MBIT, probed=30, borne_out=3, offered=200 * MBIT, credit=1)
        for n, r in rates.items()
    ]
    view = view_of({node.worker: node for node in [held, *others]}, 60)
    for voice in "cd":
        probe = choose(voice, view, set(), 60)
        assert probe is not None
        assert (probe.need, probe.peers) == (Need.REGULAR, ("a",))
    probe = choose("a", view, set(), 60)
    assert probe is None or probe.need is Need.CHECK, "its own word helps it no more"


def test_one_measure_far_above_the_rate_is_looked_into_and_not_believed() -> None:
    fleet = fleet_of(100, 50, 20, 20)
    fleet.run(120)
    fleet.says_once("w-2", 90 * MBIT)
    assert fleet.book.rates(fleet.now)["w-2"].bits_per_second == pytest.approx(20 * MBIT)
    probes = len(fleet.probed)
    fleet.run(20)
    assert any(worker == "w-2" and "w-0" in peers for _, worker, peers in fleet.probed[probes - 1 :])
    assert fleet.book.rates(fleet.now)["w-2"].bits_per_second == pytest.approx(20 * MBIT)


def test_a_link_that_became_faster_is_found() -> None:
    fleet = fleet_of(100, 50, 20, 20, noise=0.05)
    fleet.run(120)
    fleet.rates["w-2"] = 80 * MBIT
    fleet.run(90)
    assert fleet.book.rates(fleet.now)["w-2"].bits_per_second == pytest.approx(80 * MBIT, rel=0.1)


def test_hub_is_measured_against_several_at_once() -> None:
    fleet = fleet_of(100, 50, 20, 20, 10)
    fleet.run(300)
    rates = fleet.book.rates(fleet.now)
    assert rates["w-0"].bits_per_second >= 70 * MBIT
    assert rates["w-1"].bits_per_second == pytest.approx(50 * MBIT)


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize("choked", ["w-0", "w-1", "w-4"])
def test_alarm_is_confirmed_within_seconds_and_the_rate_follows(choked: str, factor: int) -> None:
    fleet = fleet_of(100, 50, 20, 20, 10)
    fleet.run(200)
    fleet.rates[choked] /= factor
    fleet.alarms.update(fleet.rates)  # a slow member slows the exchanges of all
    fleet.run(25)
    rates = fleet.book.rates(fleet.now)
    assert rates[choked].bits_per_second == pytest.approx(fleet.rates[choked], rel=0.1)
    for worker in set(rates) - {choked, "w-0"}:
        assert rates[worker].bits_per_second == pytest.approx(fleet.rates[worker], rel=0.1), worker


@pytest.mark.parametrize("seed", range(6))
def test_choked_node_is_found_by_what_the_others_notice(seed: int) -> None:
    """It raises no alarm itself. They bear one another out, and so its link is what was too slow."""
    fleet = fleet_of(100, 50, 20, 20, noise=0.05, seed=seed)
    fleet.run(30)
    fleet.rates["w-0"] = 8 * MBIT
    others = sorted(fleet.rates.keys() - {"w-0"})
    for _ in range(6):
        fleet.alarms.add(fleet.random.choice(others))
        fleet.run(5)
    rates = fleet.book.rates(fleet.now)
    for worker in ("w-0", "w-2", "w-3"):
        assert rates[worker].bits_per_second == pytest.approx(fleet.rates[worker], rel=0.2), worker


def test_drop_without_an_alarm_is_believed_on_the_second_look() -> None:
    fleet = fleet_of(100, 50, 20, 20, 10)
    fleet.run(200)
    fleet.rates["w-1"] /= 4
    fleet.run(60)
    assert fleet.book.rates(fleet.now)["w-1"].bits_per_second == pytest.approx(12.5 * MBIT, rel=0.1)


def test_false_alarm_costs_one_probe() -> None:
    fleet = fleet_of(100, 50, 20, 20, 5)
    fleet.run(200)
    before = len([1 for _, worker, _ in fleet.probed if worker == "w-4"])
    fleet.alarms.add("w-4")
    fleet.run(12)
    asked = [1 for _, worker, _ in fleet.probed if worker == "w-4"]
    assert len(asked) == before + 1
    assert fleet.book.rates(fleet.now)["w-4"].confirmed


def test_peer_that_does_not_answer_is_passed_over_and_its_lease_ends() -> None:
    fleet = fleet_of(100, 50, 20)
    fleet.run(60)
    dead = fleet.rates.pop("w-0")
    fleet.due.pop("w-0")
    fleet.running.clear()
    started = fleet.now
    fleet.rates["w-0"] = dead
    fleet.run(90)
    late = [peers for at, _, peers in fleet.probed if at > started + 20]
    assert late
    assert not any("w-0" in peers for peers in late)


def test_measure_that_is_sent_again_counts_once() -> None:
    fleet = fleet_of(100, 50)
    fleet.run(30)
    fleet.says_once("w-0", 12 * MBIT)
    part = fleet.reports["w-0"].measured
    assert part and part.links
    assert not fleet.book.record("w-0", part, fleet.now + 1), "the second look must be another probe's"


@pytest.mark.attack(10)
def test_measure_that_nobody_ordered_says_nothing() -> None:
    fleet = fleet_of(100, 50, 20)
    fleet.run(60)
    while fleet.running:
        fleet.run(0.1)
    before = fleet.book.rates(fleet.now)
    said = (1e13, 1.0) * 20
    for peer in ("w-0", "w-1"):
        links = (
            LinkMeasure(peer=peer, bits_per_second=rate, bytes=1, at=fleet.now + number)
            for number, rate in enumerate(said)
        )
        assert not fleet.book.record("w-2", NodePart(links=tuple(links)), fleet.now)
    assert fleet.book.rates(fleet.now) == before


@pytest.mark.attack(10)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lie", [1e13, 400 * MBIT, 60 * MBIT])
@pytest.mark.parametrize("honest", [0, 200])
def test_who_says_to_have_much_more_than_it_shows_to_others_is_not_taken_for_the_best(
    lie: float, honest: float, seed: int
) -> None:
    """A node of 10 Mbit/s beside one of 50; and once it lies no more, nor does what is known of it."""
    fleet = fleet_of(20, 50, 20, 10, noise=0.05, seed=seed)
    fleet.run(honest)
    fleet.says["w-3"] = lie
    if not honest:
        fleet.run(90)  # Where all have only ever measured with this one, there is nothing to hold it against.
    for _ in range(60):
        fleet.run(2)
        rates = {worker: rate.bits_per_second for worker, rate in fleet.book.rates(fleet.now).items()}
        assert rates.pop("w-3") <= max(rates.values())
    fleet.says.clear()
    fleet.run(30)
    rates = {worker: rate.bits_per_second / MBIT for worker, rate in fleet.book.rates(fleet.now).items()}
    assert rates == pytest.approx({"w-0": 20, "w-1": 50, "w-2": 20, "w-3": 10}, rel=0.25)


@pytest.mark.attack(10)
@pytest.mark.parametrize("seed", range(4))
def test_who_says_that_others_have_next_to_nothing_changes_none_of_them(seed: int) -> None:
    fleet = fleet_of(20, 50, 20, 10, noise=0.05, seed=seed)
    fleet.run(200)
    fleet.says["w-3"] = 1000.0
    for _ in range(100):
        fleet.run(2)
        assert fleet.best() == "w-1", fleet.book.rates(fleet.now)


def test_probe_that_failed_frees_its_ends_and_another_partner_is_tried() -> None:
    fleet = fleet_of(100, 100, 20)
    while not fleet.running or len(fleet.reports) < 3:
        fleet.run(0.01)
    worker, (order, _) = next(iter(fleet.running.items()))
    failed = NodePart(probe_failed=order.peer)
    fleet.book.record(worker, failed, fleet.now)
    assert fleet.book.order_for(worker, fleet.reports, fleet.now) is None, "not again at once"
    retried = fleet.book.order_for(worker, fleet.reports, fleet.now + 6)
    assert retried is not None
    assert retried.peer != order.peer


def test_worker_whose_probe_is_wanted_is_asked_to_report_often() -> None:
    fleet = fleet_of(100, 50, 20)
    fleet.run(1)
    assert fleet.book.pace("w-0", fleet.now) <= 1
    fleet.run(120)
    assert fleet.book.pace("w-2", fleet.now) == 5


@pytest.mark.parametrize(("load", "confirmed"), [(80 * MBIT, True), (0.0, False)])
def test_low_measure_by_a_partner_that_was_busy_is_no_doubt(load: float, confirmed: bool) -> None:
    fleet = fleet_of(50, 100, 50)
    fleet.run(120)
    fleet.says_once("w-0", 20 * MBIT, load)
    rate = fleet.book.rates(fleet.now)["w-0"]
    assert rate.confirmed is confirmed
    assert rate.bits_per_second == pytest.approx(50 * MBIT, rel=0.1)


@pytest.mark.parametrize("mbit", [(50, 50, 20), (100, 50, 20, 20, 10)])
def test_whom_others_do_not_reach_is_told_from_those_whom_they_do(mbit: tuple[int, ...]) -> None:
    fleet = fleet_of(*mbit)
    fleet.hidden = {"w-1"}
    fleet.run(15)
    assert True in fleet.book.reachable().values(), "before rates are shown"
    fleet.run(300)
    reachable = fleet.book.reachable()
    assert [worker for worker, reached in reachable.items() if not reached] == ["w-1"]
    fleet.hidden = set()
    fleet.run(300)
    assert all(fleet.book.reachable().values())


@pytest.mark.parametrize("seed", range(5))
def test_one_that_was_reached_and_is_away_for_a_moment_is_not_taken_for_one_behind_nat(seed: int) -> None:
    fleet = fleet_of(100, 50, 20, 20, 10, seed=seed)
    fleet.run(200)
    for _ in range(40):
        fleet.hidden = {"w-1"}
        fleet.run(5)
        assert all(fleet.book.reachable().values())
        fleet.hidden = set()
        fleet.run(60)
        assert all(fleet.book.reachable().values())
    fleet.hidden = {"w-1"}
    fleet.run(300)
    assert fleet.book.reachable()["w-1"] is False, "it has come behind one"


def test_of_two_the_others_word_is_enough_and_of_one_alone_nothing_is_known() -> None:
    two = fleet_of(50, 20)
    two.hidden = {"w-1"}
    two.run(60)
    assert two.book.reachable()["w-1"] is False
    alone = fleet_of(50)
    alone.run(60)
    assert not alone.book.reachable()


def test_a_peer_whose_pod_has_just_ended_is_not_probed() -> None:
    """What is known of all nodes is looked up once a second."""
    book, now, nothing = ProbeBook(), 1000.0, NodePart()
    reports = {w: StampedReport(report(w), measured=nothing, measured_received=now) for w in ("w-a", "w-b")}
    for worker in reports:
        book.record(worker, nothing, now)
    assert book.order_for("nobody", reports, now) is None
    left = {"w-a": reports["w-a"]}
    assert book.order_for("w-a", left, now) is None
    assert book.order_for("w-a", reports, now) is not None
