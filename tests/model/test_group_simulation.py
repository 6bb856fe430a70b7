"""The group gets on: after each fault it forms anew in time, and after all of them it is whole."""

import os
from functools import partial

import pytest

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from tests.model.simulation import Simulation
from tests.support.histories import FIRST as FIRST_HISTORY

SEEDS = 200 if os.environ.get("EDGETRAIN_EXPLORE") == "deep" else 5


def training(size: int, seed: int = 0) -> Simulation:
    sim = Simulation(size, seed)
    assert sim.run(10, sim.whole), sim.logs
    assert sim.run(5, lambda: sim.step >= 3), sim.logs
    return sim


def next_commit(sim: Simulation, within: float) -> float:
    begun, step = sim.now, sim.step
    assert sim.run(within, lambda: sim.step > step + 1), sim.logs[-20:]
    return sim.now - begun


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_group_forms_and_trains(size: int) -> None:
    training(size)


@pytest.mark.parametrize("victim", [0, 2])
def test_a_killed_trainer_costs_little_and_comes_back(victim: int) -> None:
    sim = training(4)
    sim.kill_trainer(victim)
    assert next_commit(sim, 1.0) < 0.5
    assert sim.run(10, sim.whole), sim.logs[-20:]


@pytest.mark.parametrize("victim", [0, 3])
def test_a_silent_pod_is_put_out_and_taken_back(victim: int) -> None:
    sim = training(4)
    sim.stop(victim)
    assert next_commit(sim, 1.5) < 1.2
    sim.run(1.0)
    sim.wake(victim)
    assert sim.run(10, sim.whole), sim.logs[-20:]


@pytest.mark.parametrize("victim", [0, 3])
def test_a_hung_trainer_is_put_out_and_taken_back(victim: int) -> None:
    sim = training(4)
    sim.freeze(victim)
    assert next_commit(sim, 1.5) < 1.2
    sim.run(2.0)
    sim.thaw(victim)
    assert sim.run(20, sim.whole), sim.logs[-20:]


def test_the_larger_side_of_a_partition_goes_on_and_is_joined_after_healing() -> None:
    sim = training(5)
    sim.partition({0, 4})
    assert next_commit(sim, 2.0) < 1.5
    sim.run(2.0)
    assert not sim.whole()
    sim.heal()
    assert sim.run(15, sim.whole), sim.logs[-20:]


def test_of_two_halves_the_aggregators_goes_on() -> None:
    sim = training(4)
    sim.partition({0, 3})
    next_commit(sim, 2.0)
    assert {pod for at, pod, _ in sim.commits if at > sim.now - 0.1} <= {0, 3}


def test_a_side_without_majority_pauses_until_it_is_healed() -> None:
    sim = training(4)
    sim.cut_power(0)
    sim.cut_power(1)
    sim.run(1.0)
    paused = sim.step
    sim.run(5.0)
    assert sim.step == paused
    sim.boot(0)
    assert sim.run(10, lambda: sim.step > paused + 2), sim.logs[-20:]


def test_a_new_plan_brings_a_member_in_and_another_aggregator() -> None:
    sim = Simulation(4, planned=3)
    assert sim.run(10, lambda: sim.whole({0, 1, 2}) and sim.step > 3), sim.logs
    sim.give_plan(sim.plan_of([0, 1, 2, 3], 2, succession=("w2", "w0", "w1", "w3")))
    assert sim.run(5, sim.whole), sim.logs[-20:]
    word = sim.sites[0].group.word
    assert word is not None and word.formation.aggregator == "w2"


def test_a_plan_that_says_wait_stops_the_group_at_a_boundary() -> None:
    sim = training(3)
    sim.give_plan(sim.plan_of(range(3), 2, train=False))
    sim.run(1.0)
    step = sim.step
    sim.run(3.0)
    assert sim.step == step
    sim.give_plan(sim.plan_of(range(3), 3))
    assert sim.run(5, lambda: sim.step > step + 1), sim.logs[-20:]


@pytest.mark.parametrize("victim", [0, 2])
def test_a_pod_that_has_lost_its_votes_gives_way_to_a_new_one(victim: int) -> None:
    sim = training(4)
    sim.lose_disk(victim)
    assert sim.run(5, lambda: sim.pods[victim].uid.endswith("+")), sim.logs[-20:]
    assert sim.run(10, sim.whole), sim.logs[-20:]


def test_a_pod_that_has_lost_its_votes_makes_no_majority() -> None:
    """It was ahead with w1; the others stand where the two left them, and would go on from there with it."""
    sim = training(4)
    sim.partition({0, 1})
    sim.run(3.0)
    ahead = sim.step
    sim.lose_disk(0)
    sim.heal()
    sim.run(10)
    assert sim.step == ahead
    assert sim.pods[0].uid.endswith("+")


def test_pods_that_have_all_forgotten_do_not_begin_the_generation_again() -> None:
    sim = training(3)
    step = sim.step
    for index in range(3):
        sim.lose_disk(index)
    sim.run(10)
    assert sim.step == step


def test_a_plan_from_before_the_first_step_begins_nothing() -> None:
    """A founder that was late hands it on to one that has forgotten; the newer plan comes behind it."""
    sim = Simulation(3)
    first = sim.plan
    sim.partition({0, 1})
    assert sim.run(10, lambda: sim.step > 5)
    sim.heal()
    sim.partition({0})
    sim.lose_disk(1, first)
    newer = sim.plan_of(range(3), 2)
    for index in (1, 2):
        sim.at(index, 0.05, partial(sim.hold, index, newer))
    sim.run(20)
    assert sum("the first formation" in line for line in sim.logs) == 1


def test_a_record_swears_for_no_life_of_its_pod_that_it_does_not_know() -> None:
    pod, before, now = Pod("w0", "p0"), Member("w0", "p0", "i1"), Member("w0", "p0", "i2")
    base = Formation(0, (now.founder(),), "w0")
    older, newer = Formation(2, (before,), "w0"), Formation(3, (now,), "w0")
    forgetful = Record(pod, FIRST_HISTORY, base).accept(newer)
    assert not forgetful.never_formed(older)
    assert forgetful.end(before).never_formed(older)
    assert Record(pod, FIRST_HISTORY, base).accept(older).end(before).accept(newer).never_formed(older)


def trouble(sim: Simulation, faults: int, *, at_once: bool) -> None:
    """Random faults. Unless `at_once`, nobody's state is lost while others are still out."""
    rng = sim.random
    for _ in range(faults):
        pod = rng.randrange(len(sim.pods))
        kinds = [sim.stop, sim.wake, sim.freeze, sim.thaw, sim.boot, sim.cut_off]
        if at_once or sim.whole():
            kinds += [sim.kill_trainer, sim.kill_trainer, sim.cut_power]
        if at_once:
            # Its old trainer can be declared ended by nobody: a new generation may have to follow.
            kinds.append(sim.lose_disk)
        rng.choice(kinds)(pod)
        sim.run(rng.uniform(0.0, 1.0))
        if rng.random() < 0.4:
            sim.heal()
            sim.run(rng.uniform(0.0, 3.0))
    sim.heal()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_left_in_peace_the_group_is_whole_again(seed: int) -> None:
    sim = training(3 + seed % 3, seed)
    trouble(sim, 15, at_once=False)
    step = sim.step
    assert sim.run(90, lambda: sim.whole() and sim.step > step + 2), sim.logs[-30:]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_is_lost_at_once_no_two_sides_go_on(seed: int) -> None:
    """The simulation itself fails at a forked, lost or doubled step."""
    sim = training(2 + seed % 4, 1000 + seed)
    trouble(sim, 25, at_once=True)
    sim.run(5.0)
