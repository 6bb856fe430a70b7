"""A group that is told to finish: all members leave their loops at one place, and save one model."""

import os
import random
import time
from pathlib import Path

import pytest

from edgetrain import link
from tests.support.loops import end_alike, marks, running
from tests.support.trainers import Coordinator, coordinating, stop_all

EPOCHS = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size={batch}))
for epoch in session.epochs(200):
    for bx, by in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
    if not session.catching_up:
        mark(str(epoch))
mark("behind")
session.save(model)
"""
SHORT, LONG = EPOCHS.format(batch=24), EPOCHS.format(batch=4)
"""Epochs of 4 and of 24 steps."""
SEED = os.environ.get("SEED", "0")


def finish(group: Coordinator) -> int:
    """To the end at the test's own pace; returns the step at which all have ended."""
    group.until(lambda: group.broken() or group.finished())
    if group.broken():
        group.reform()
        return finish(group)
    (step,) = {member.last(link.Progress).step for member in group.members}
    end_alike(group)
    return int(step)


def test_all_leave_their_loops_where_the_epoch_ends_in_which_one_was_told(tmp_path: Path) -> None:
    with running(tmp_path, SHORT, pause=0.2) as group:
        group.until(lambda: group.committed() >= 5)
        group.members[1].send(link.Finish())
        assert finish(group) in (8, 12)
        ends = [marks(group, worker) for worker in "abc"]
        assert ends[0] == ends[1] == ends[2] and ends[0][-1] == "behind"


@pytest.mark.parametrize("victim", [0, 2], ids=["the aggregator", "another"])
def test_who_is_lost_just_then_parts_nobody(tmp_path: Path, victim: int) -> None:
    chance = random.Random(f"{victim} {SEED}")
    with running(tmp_path, SHORT, pause=0.2) as group:
        group.until(lambda: group.committed() >= 5)
        for member in group.members:
            member.send(link.Finish())
        # Nothing to wait for: that it is any moment of the next steps is the point.
        time.sleep(0.4 * chance.random())
        group.lose(group.members[victim])
        finish(group)
        first, second = [marks(group, member.worker) for member in group.members]
        assert first == second and first[-1] == "behind"


def test_a_newcomer_knows_it_from_the_others(tmp_path: Path) -> None:
    """Nobody tells it, and it takes no epoch more."""
    with running(tmp_path, LONG, pause=0.4, later="d") as group:
        newcomer = group.called("d")
        group.members[0].send(link.Finish())
        group.until(lambda: group.committed() >= 2)
        group.join(newcomer)
        assert finish(group) == 24
        assert newcomer in group.members and marks(group, "d") == ["0", "behind"]


TWO = """
second = torch.optim.SGD(model.parameters(), lr=0.01)
session.prepare(model, optimizer, second)
one = session.loader(DataLoader(TensorDataset(x, y), batch_size=4))
for _ in session.epochs(100):
    for bx, by in one:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
mark("between")
two = session.loader(DataLoader(TensorDataset(x[:48], -y[:48]), batch_size=12))
for _ in session.epochs(100):
    mark("second")
    for bx, by in two:
        second.zero_grad()
        (model(bx) - by).square().mean().backward()
        second.step()
mark(str(session.sum(1.0)))
session.save(model)
"""


def test_later_loops_have_no_passes_also_for_a_newcomer(tmp_path: Path) -> None:
    with running(tmp_path, TWO, pause=0.4, later="d") as group:
        newcomer = group.called("d")
        group.members[2].send(link.Finish())
        group.until(lambda: group.committed() >= 2)
        group.join(newcomer)
        finish(group)
        assert newcomer in group.members
        assert [marks(group, worker) for worker in "abcd"] == [["between", "4.0"]] * 4


def test_a_restart_from_a_state_of_after_it_was_told_ends_with_the_same_epoch(tmp_path: Path) -> None:
    with running(tmp_path, LONG, pause=0.1, workers="a") as group:
        (member,) = group.members
        group.until(lambda: group.committed() >= 26)
        member.send(link.Finish())
        told = group.committed()
        group.until(lambda: group.committed() >= told + 3)
        member.send(link.Stop())
        group.until(lambda: not member.alive)
        saved = member.last(link.Checkpointed)
    assert saved.step < 48
    resume = link.Resume(saved.step, saved.history, saved.digest)
    with running(tmp_path, LONG, pause=0.1, workers="a", resume=resume) as group:
        assert finish(group) == 48
        assert marks(group, "a") == ["0", "1", "behind"]


OWN_LOOP = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=4), counted=True)
for epoch in range(100):
    for number, (bx, by) in enumerate(loader):
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
        if session.finishing:
            break
    if session.finishing:
        break
mark(f"{epoch}/{number}")
session.save(model)
"""


def test_a_loop_of_the_programs_own_may_be_left_by_it_within_an_epoch(tmp_path: Path) -> None:
    with running(tmp_path, OWN_LOOP, pause=0.1, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 3)
        group.join(newcomer)
        told = group.committed()
        group.members[1].send(link.Finish())
        assert told < finish(group) < told + 12, "at once, and not where the epoch ends"
        assert len({tuple(marks(group, worker)) for worker in "abcd"}) == 1


@pytest.mark.parametrize("fault", [{"after_vote": 1}, {"before_reduce": 1}], ids=["applied", "summed again"])
def test_the_step_that_says_so_says_it_also_to_who_never_learns_of_its_vote(
    tmp_path: Path, fault: dict[str, int]
) -> None:
    """An epoch has five steps, of three epochs."""
    with coordinating(tmp_path) as group:
        members = group.spawn_all("a", "b", "c", options={"c": {"break": fault}})
        members[0].send(link.Finish())
        group.start(members)
        group.run()
        assert group.decisions[1:], "the formation did not break"
        assert {member.last(link.Progress).step for member in members} == {5}
        assert len({member.last(link.Finished).digest for member in members}) == 1
        stop_all(group)


def test_who_is_told_otherwise_before_its_first_step_goes_on(tmp_path: Path) -> None:
    with coordinating(tmp_path) as group:
        (member,) = group.spawn_all("a")
        member.send(link.Finish())
        member.send(link.Finish(wanted=False))
        group.start([member])
        group.run()
        assert member.last(link.Progress).step == 15
        stop_all(group)
