"""Two groups in one job, under one operator: what befalls one is nothing to the other, members move between
them, and none is ever stuck. Within each history nothing forks: the simulation itself looks at that.
"""

import itertools
import os
import random
from functools import partial

import pytest

from edgetrain.group.effects import Effect, SetAside
from edgetrain.group.members import Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.set_aside import SetAsideRecords
from edgetrain.group.status import PlanView
from edgetrain_operator.core import grouping
from tests.model.job import Job

DEEP = os.environ.get("EDGETRAIN_EXPLORE") == "deep"
SEEDS = range(150) if DEEP else range(12)
NORTH, SOUTH = (0, 1, 2), (3, 4, 5)
BOUND_SECONDS = 30.0


def two_sites(seed: int = 0) -> Job:
    """Both train, and have durable checkpoints."""
    job = Job(6, seed, sites=("north",) * 3 + ("south",) * 3)
    assert job.run(30, lambda: min(job.step_of("north"), job.step_of("south")) >= 12), job.why()
    return job


def go_on(job: Job, *groups: str, within: float = BOUND_SECONDS) -> None:
    before = {group: (job.step_of(group), newest(job, group)) for group in groups}

    def all_did() -> bool:
        return all(
            newest(job, group) > generation or job.step_of(group) > step + 1
            for group, (step, generation) in before.items()
        )

    assert job.run(within, all_did), job.why()
    assert "NobodyTrains" not in job.world.told, job.why()


def all_whole(job: Job, groups: list[set[int]]) -> bool:
    return all(map(job.whole, groups))


def newest(job: Job, group: str) -> int:
    return max((h.generation for h in job.histories if h.group == group), default=0)


def commits_of(job: Job, workers: tuple[int, ...], since: float) -> list[float]:
    return [at for at, index, _ in job.commits if index in workers and at >= since]


def longest_wait(times: list[float], since: float, until: float) -> float:
    moments = [since, *times, until]
    return max(later - earlier for earlier, later in itertools.pairwise(moments))


def test_the_groups_train_beside_each_other() -> None:
    job = two_sites()
    assert job.whole(set(NORTH)) and job.whole(set(SOUTH))
    assert {history.group for history in job.histories} == {"north", "south"}


def test_a_group_lost_for_good_begins_anew_and_no_step_of_the_other_is_late() -> None:
    job = two_sites()
    usual = longest_wait(commits_of(job, SOUTH, job.now - 5), job.now - 5, job.now)
    began = job.now
    for index in NORTH:
        job.fail_program(index)
    go_on(job, "north", within=10.0)
    assert newest(job, "north") == 2
    job.run(10)
    assert newest(job, "south") == 1
    assert longest_wait(commits_of(job, SOUTH, began), began, job.now) < 2 * usual


def test_a_group_goes_on_when_most_of_it_have_moved_and_said_so() -> None:
    """They tell those whom they leave that they have ended: no majority is lost, and no step."""
    job = two_sites()
    for index in (1, 2):
        job.label(index, "south")
    job.operate()
    go_on(job, "north", "south")
    assert job.run(30, lambda: job.whole({0}) and job.whole({1, 2, *SOUTH})), job.why()
    assert newest(job, "north") == newest(job, "south") == 1, job.why()


def test_who_was_moved_out_of_reach_tells_those_whom_it_left_once_it_is_heard() -> None:
    job = two_sites()
    moved_out_of_reach(job)
    go_on(job, "north", "south")
    assert newest(job, "north") == 1, job.why()


def moved_out_of_reach(job: Job) -> None:
    """Of the north all but one, which nobody hears at the time."""
    stays = NORTH[0]
    job.partition({stays})
    job.offline.add(stays)
    for index in set(NORTH) - {stays}:
        job.label(index, "south")
    job.operate()
    assert job.run(30, lambda: job.whole({*NORTH, *SOUTH} - {stays})), job.why()
    job.mend_links()
    job.run(0.5)
    job.offline.clear()


def test_two_groups_become_one_and_two_again() -> None:
    job = two_sites()
    for site, whole in (("south", [set(range(6))]), ("north", [set(NORTH), set(SOUTH)])):
        for index in NORTH:
            job.label(index, site)
        job.operate()
        go_on(job, "south")
        assert job.run(60, partial(all_whole, job, whole)), job.why()


def test_who_comes_back_is_bound_by_what_it_promised() -> None:
    job = two_sites()
    promised = job.sites[1].disk
    assert promised is not None and promised.history.group == "north"
    job.label(1, "south")
    job.operate()
    assert job.run(30, lambda: job.whole({1, *SOUTH})), job.why()
    job.label(1, "north")
    job.operate()
    assert job.run(30, lambda: job.whole(set(NORTH))), job.why()
    again = job.sites[1].disk
    assert again is not None and again.history == promised.history
    assert again.promised > promised.promised and set(again.ended) > set(promised.ended)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_any_faults_and_moves_each_group_that_has_members_commits(seed: int) -> None:
    job = two_sites(seed)
    disturb(job, random.Random(seed))
    job.peace()
    groups = {record.group for record in job.world.stored.workers.values()}
    go_on(job, *groups)
    assert job.run(90, lambda: all_whole(job, members(job))), job.why()


def disturb(job: Job, dice: random.Random) -> None:
    faults = [job.delete_pod, job.fail_program, job.power_off, job.power_on, job.kill_trainer, job.stop]
    for _ in range(10):
        index = dice.randrange(6)
        if dice.random() < 0.5:
            job.label(index, dice.choice(["north", "south"]))
        else:
            dice.choice(faults)(index)
        if dice.random() < 0.1:
            job.take_over()
        job.run(dice.choice([0.1, 1.0, 5.0]))


def members(job: Job) -> list[set[int]]:
    """Those of each group."""
    found: dict[str, set[int]] = {}
    for index, pod in enumerate(job.pods):
        found.setdefault(job.world.stored.workers[pod.worker].group, set()).add(index)
    return list(found.values())


def silently(
    self: SetAsideRecords, pod: Pod, plan: PlanView, before: Record | None, member: Member | None
) -> tuple[Record, list[Effect]]:
    """Wrongly: its program goes on, with what it held in the other group."""
    moved = before is not None and before.history.group != plan.history.group
    if before and moved:
        self._records[before.history.group] = before
    return self._begin(pod, plan, before), [SetAside(before)] if before and moved else []


def test_it_is_noticed_where_who_moves_does_not_end_for_those_whom_it_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SetAsideRecords, "enter", silently)
    with pytest.raises(AssertionError):
        test_a_group_goes_on_when_most_of_it_have_moved_and_said_so()


def test_it_is_noticed_where_who_comes_back_does_not_tell_those_whom_it_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SetAsideRecords, "but", lambda self, *groups: [])
    with pytest.raises(AssertionError):
        test_who_was_moved_out_of_reach_tells_those_whom_it_left_once_it_is_heard()


def test_those_whom_it_has_left_get_a_new_generation_where_it_can_tell_them_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where they are not connected any more: the operator knows that it is of another group."""
    monkeypatch.setattr(SetAsideRecords, "but", lambda self, *groups: [])
    job = two_sites()
    moved_out_of_reach(job)
    go_on(job, "north", "south")
    assert newest(job, "north") == 2, job.why()


def test_it_is_noticed_where_a_site_is_one_group_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was before there were groups: what befalls one befalls all."""
    monkeypatch.setattr(grouping, "_group_of", lambda seen, worker, record: "north")
    with pytest.raises(AssertionError):
        test_the_groups_train_beside_each_other()
