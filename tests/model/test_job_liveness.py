"""A job is never stuck: after any faults a step is committed again, soon, and without the last resort.

Each mend is broken on purpose as well, to see that these tests notice.
"""

import itertools
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from edgetrain.group import calls, founding, lateness, policy
from edgetrain.group.status import Stage
from edgetrain.group.view import View
from tests.model.job import Job, all_of, training_job

DEEP = os.environ.get("EDGETRAIN_EXPLORE") == "deep"
BOUND_SECONDS = 30.0
"""From the last fault's end to the next step; what was killed takes up to a second to start."""
ORDERS_OF_FOUR = list(itertools.permutations(range(4)))
ORDERS_OF_FIVE = list(itertools.permutations(range(5)))[:: 1 if DEEP else 11]
SEEDS = range(300) if DEEP else [*range(12), 152, 164, 177, 198, 213]
"""The last five have found something: a plan without anybody who is left, newcomers asked in for ever."""


def commits(job: Job) -> None:
    """A step is committed within the bound, and the last resort had no part in it."""
    assert job.commits_again(BOUND_SECONDS), job.why()
    assert "NobodyTrains" not in job.world.told, job.why()


def whole(job: Job) -> None:
    """All nodes train together in the end."""
    assert job.run(60, job.whole), job.why()


# --- the faults of users


def power_cut(job: Job, order: tuple[int, ...], gap: float) -> None:
    all_of(job, job.power_off)
    job.run(20)
    for index in order:
        job.power_on(index)
        job.run(gap)


@pytest.mark.parametrize("order", [*ORDERS_OF_FOUR, *ORDERS_OF_FIVE])
def test_a_site_comes_back_in_any_order_from_the_newest_durable_step(order: tuple[int, ...]) -> None:
    job = training_job(len(order), seed=hash(order) % 997)
    durable = job.world.group.durable_step
    power_cut(job, order, gap=random.Random(str(order)).choice([0.2, 3.0, 9.0]))
    commits(job)
    origin = job.world.plan.origin
    # Beyond it where two have saved a step later than the operator heard.
    assert job.generation == 2 and origin and durable is not None and origin.step >= durable
    whole(job)


def rolling_deletion(job: Job) -> None:
    for index in range(len(job.nodes)):
        job.delete_pod(index)
        job.run(8)


def deletion_faster_than_newcomers(job: Job) -> None:
    for index in range(len(job.nodes)):
        job.delete_pod(index)
        job.run(0.5)


def all_programs_fail(job: Job) -> None:
    all_of(job, job.fail_program)


def all_pods_deleted(job: Job) -> None:
    all_of(job, job.delete_pod)


def all_programs_killed(job: Job) -> None:
    all_of(job, job.kill_trainer)


def last_one_back_first(job: Job) -> None:
    power_cut(job, tuple(reversed(range(len(job.nodes)))), 6.0)


def site_offline_then_its_leader_deleted(job: Job) -> None:
    job.offline = set(range(len(job.nodes)))
    job.run(10)
    leader = job.index[job.world.plan.groups[0].aggregator]
    job.peace()
    job.delete_pod(leader)


def operator_away_while_all_restart(job: Job) -> None:
    job.operator_up = False
    all_of(job, job.fail_program)
    job.run(10)
    job.take_over()


def late_reports(job: Job) -> None:
    job.late = set(range(len(job.nodes)))
    all_of(job, job.fail_program)
    job.run(8)


def one_way_links(job: Job) -> None:
    job.cut_one_way(0, 1)
    job.cut_one_way(2, 1)
    job.run(15)


FAULTS = (
    rolling_deletion,
    deletion_faster_than_newcomers,
    all_programs_fail,
    all_pods_deleted,
    all_programs_killed,
    last_one_back_first,
    site_offline_then_its_leader_deleted,
    operator_away_while_all_restart,
    late_reports,
    one_way_links,
)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_it_trains_again_after(fault: Callable[[Job], None], size: int) -> None:
    if fault is one_way_links and size < 3:
        pytest.skip("needs a third")
    job = training_job(size, seed=size)
    fault(job)
    job.peace()
    commits(job)
    whole(job)


def test_below_min_nothing_new_begins_and_enough_begin_at_once() -> None:
    """Three of four are needed and two are there: no generation is begun for those two."""
    job = training_job(4, nodes={"min": 3})
    all_of(job, job.power_off)
    job.run(20)
    for index in (0, 1):
        job.power_on(index)
    job.run(40)
    assert job.generation == 1
    job.power_on(2)
    job.power_on(3)
    commits(job)
    assert job.generation == 2


@pytest.mark.parametrize("leads", [True, False])
def test_a_program_that_hangs_is_put_out_whoever_it_is(leads: bool) -> None:
    job = training_job(4)
    leader = job.index[job.world.plan.groups[0].aggregator]
    victim = leader if leads else (leader + 1) % 4
    job.hang(victim)
    job.run(lateness.LATE_SECONDS + 2)
    others = [at for at, index, _ in job.commits if index != victim and at > job.now - 0.6]
    assert others, job.why()
    job.run(20)
    assert job.world.lines()[job.nodes[victim]] == "Hung"
    job.come_back(victim)
    whole(job)


@pytest.mark.parametrize("leads", [True, False])
def test_of_two_one_goes_on_without_the_other_s_program(leads: bool) -> None:
    job = training_job(2)
    leader = job.index[job.world.plan.groups[0].aggregator]
    victim = leader if leads else 1 - leader
    job.hang(victim)
    job.run(lateness.LATE_SECONDS + 2)
    assert [at for at, index, _ in job.commits if index != victim and at > job.now - 0.6], job.why()
    job.come_back(victim)
    whole(job)


@pytest.mark.parametrize("leads", [True, False])
def test_who_is_heard_and_gets_no_data_through_is_put_out_whoever_it_is(leads: bool) -> None:
    job = training_job(4)
    leader = job.index[job.world.plan.groups[0].aggregator]
    victim = leader if leads else (leader + 1) % 4
    job.cut_data(victim)
    job.run(6)
    assert {index for at, index, _ in job.commits if at > job.now - 0.6} == set(range(4)) - {victim}, (
        job.why()
    )
    job.run(30)
    job.mend_links()
    whole(job)


def test_who_comes_up_only_after_the_first_formation_of_a_generation_is_taken_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was asked in by founders: called as it is it would refuse, and hold all others at their boundary."""
    job = training_job(4)
    monkeypatch.setattr(Job, "gives", lambda job, donor: donor.whole)
    staggered(job)
    assert job.run(60, job.whole), job.why()


def test_what_a_newcomer_holds_is_not_lost_with_its_donors() -> None:
    """It had caught up, and is asked in by nobody any more: the others go on from what it holds."""
    job = training_job(3)
    *others, newcomer = (job.index[worker] for worker in job.world.plan.groups[0].succession)
    job.kill_trainer(newcomer)
    group = job.sites[newcomer].group
    assert job.run(20, lambda: group.status.stage is Stage.CAUGHT_UP)
    all_of(job, job.power_off, others)
    held = group.status.committed
    job.run(10)
    all_of(job, job.power_on, others)
    commits(job)
    origin = job.world.plan.origin
    assert origin and (origin.worker, origin.step) == (job.pods[newcomer].worker, held)


def donors_lost(job: Job, heard: bool) -> tuple[int, int, int]:
    """A slow newcomer has caught up once and taken a snapshot since when its donors go for good: the operator
    has heard of that, or of the first alone. Returns the newcomer, and both steps."""
    *others, newcomer = (job.index[worker] for worker in job.world.plan.groups[0].succession)
    job.slow.add(newcomer)
    job.kill_trainer(newcomer)
    group = job.sites[newcomer].group
    assert job.run(20, lambda: group.status.stage is Stage.CAUGHT_UP)
    job.run(0.2)
    first, trainer = group.status.committed, job.sites[newcomer].trainer
    if not heard:
        job.lies[newcomer] = lambda part: part.model_copy(update={"step": min(part.step, first)})
    assert trainer and job.run(20, lambda: trainer.position.committed > first)
    job.run(0.2)
    all_of(job, job.power_off, others)
    stands = trainer.position.committed
    job.run(10)
    all_of(job, job.power_on, others)
    return newcomer, first, stands


def saved(job: Job) -> int:
    """The step of the newest checkpoint."""
    return max(step for site in job.sites for _, step, _ in site.checkpoints)


def donors_lost_unheard(job: Job) -> None:
    donors_lost(job, heard=False)


@pytest.mark.parametrize("heard", [True, False])
def test_a_snapshot_that_a_slow_newcomer_took_last_is_what_is_gone_on_from(heard: bool) -> None:
    for seed in range(9):
        job = training_job(3, seed)
        newcomer, first, stands = donors_lost(job, heard)
        # Else that is what is gone on from.
        if saved(job) <= first:
            break
    commits(job)
    origin = job.world.plan.origin
    assert origin and origin.worker == job.pods[newcomer].worker
    assert origin.step == (stands if heard else first) and first < stands
    assert min(job.histories[job.world.plan.history]) == stands + 1


# --- anything at any time


def some_faults(job: Job, rng: random.Random) -> list[Callable[[], None]]:
    everybody = range(len(job.nodes))

    def one() -> int:
        return rng.choice(everybody)

    def several() -> list[int]:
        return rng.sample(everybody, rng.randint(2, len(everybody)))

    return [
        lambda: job.power_off(one()),
        lambda: all_of(job, job.power_off, several()),
        lambda: all_of(job, job.power_on, several()),
        lambda: job.delete_pod(one()),
        lambda: all_pods_deleted(job),
        lambda: all_programs_fail(job),
        lambda: job.fail_program(one()),
        lambda: job.kill_trainer(one()),
        lambda: job.stop(one()),
        lambda: job.wake(one()),
        lambda: job.freeze(one()),
        lambda: job.thaw(one()),
        lambda: job.hang(one()),
        lambda: job.partition(set(several())),
        lambda: job.cut_one_way(*rng.sample(everybody, 2)),
        lambda: job.cut_data(one()),
        job.mend_links,
        lambda: job.offline.update(several()),
        lambda: job.late.add(one()),
        lambda: setattr(job, "operator_up", False),
        job.take_over,
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_befell_it_it_trains_again(seed: int) -> None:
    rng = random.Random(seed)
    job = training_job(rng.choice([3, 4, 5, 6]), seed)
    faults = some_faults(job, rng)
    for _ in range(8):
        rng.choice(faults)()
        job.run(rng.choice([0.1, 1.0, 3.0, 10.0]))
    job.peace()
    commits(job)
    whole(job)


# --- the mends, broken


def attempts_that_never_commit(job: Job) -> None:
    """The newest formation could vote again, an older one that counts all the same cannot."""
    leader, second = (job.index[w] for w in job.world.plan.groups[0].succession[:2])
    job.builds_fail = True
    job.power_off(leader)
    job.run(2.0)
    job.delete_pod(second)
    job.power_on(leader)
    job.delete_pod(leader)
    job.run(1.0)
    job.builds_fail = False


def hung_leader(job: Job) -> None:
    job.hang(job.index[job.world.plan.groups[0].aggregator])


def slow_votes(job: Job) -> None:
    job.slow_disk = 1.5
    job.kill_trainer(0)
    job.kill_trainer(1)


def staggered(job: Job) -> None:
    power_cut(job, tuple(reversed(range(len(job.nodes)))), 6.0)


def builds_that_fail(job: Job) -> None:
    """Most are put out for a while, and nobody says anything when that while is over."""
    job.builds_fail = True
    job.kill_trainer(0)
    job.run(5)
    job.builds_fail = False


def only_two_hold_it(job: Job) -> None:
    """Half of the founders, without the one that breaks a tie."""
    all_of(job, job.power_off)
    job.run(20)
    origin = job.world.group.durable
    leader = job.index[job.world.plan.groups[0].aggregator]
    assert origin
    for index, site in enumerate(job.sites):
        if index == leader:
            site.checkpoints = {}
    all_of(job, job.power_on)


def another_lost_before_the_first_step_without_one(job: Job) -> None:
    """Too few of those who made it last are left, and who was left out is heard: its vote is wanted, though
    its program is away."""
    line = [job.index[worker] for worker in job.world.plan.groups[0].succession]
    job.builds_fail = True
    job.hang(line[3])
    job.run(lateness.LATE_SECONDS + 1)
    job.kill_trainer(line[0])
    job.kill_trainer(line[1])
    job.run(1.0)
    job.builds_fail = False


def one_is_left(job: Job) -> None:
    """In the middle of a step, without a majority; a new generation begins with its state, which most of the
    others have to take first."""
    others = [job.index[worker] for worker in job.world.plan.groups[0].succession[:-1]]
    all_of(job, job.power_off, others)
    job.run(1.0)
    all_of(job, job.delete_pod, others[:2])
    all_of(job, job.power_on, others)


SCENARIOS = (
    another_lost_before_the_first_step_without_one,
    only_two_hold_it,
    attempts_that_never_commit,
    builds_that_fail,
    donors_lost_unheard,
    hung_leader,
    one_is_left,
    slow_votes,
    staggered,
)
"""In which the mends below count: nothing is mended by hand before a step is asked for."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_mends_hold(scenario: Callable[[Job], None]) -> None:
    job = training_job(4)
    scenario(job)
    commits(job)


MUTANTS: dict[str, tuple[Callable[[Job], None], list[tuple[Any, str, Any]]]] = {
    "who began from a checkpoint gives nothing": (
        only_two_hold_it,
        [(Job, "gives", lambda job, donor: donor.whole)],
    ),
    "nothing is looked at again": (hung_leader, [(policy, "LOOK_SECONDS", 1e9)]),
    "nobody votes who is not to be in": (
        another_lost_before_the_first_step_without_one,
        [(View, "witnesses", lambda view, members: ())],
    ),
    "who leads is not watched": (hung_leader, [(policy, "trusted", lambda *_: True)]),
    "a state in memory begins where it was heard to stand": (
        donors_lost_unheard,
        [(founding, "_beginning", lambda view, started: view.plan.origin.step if view.plan.origin else 0)],
    ),
    "whose state is wanted stays in the middle of its step": (
        one_is_left,
        [(Job, "rewind", lambda job, trainer: None)],
    ),
    "every call is given the same time": (slow_votes, [(calls, "LONGEST_CALL_SECONDS", 1.0)]),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_a_mend_it_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, changes = MUTANTS[name]
    for where, what, instead in changes:
        monkeypatch.setattr(where, what, instead)
    job = training_job(4)
    scenario(job)
    with pytest.raises(AssertionError):
        commits(job)
