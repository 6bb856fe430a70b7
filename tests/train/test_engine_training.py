"""Groups of real trainer processes: steps survive losses at every point, nothing is lost or seen twice."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edgetrain import link
from edgetrain.link import Decision
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation
from tests.support.trainers import check_exact, coordinating, decided, stop_all


@pytest.mark.parametrize("reduction", ["ring", "star"])
def test_a_group_trains_to_the_end(tmp_path: Path, reduction: str) -> None:
    with coordinating(tmp_path, reduction=reduction) as group:
        members = group.spawn_all("a", "b", "c", options={"b": {"model_seed": 5}})
        group.start(members)
        group.run()
        check_exact(group)
        stop_all(group)
        assert {(tmp_path / f"model-{w}" / "model.safetensors").read_bytes() for w in "abc"}
        finished = [t.last(link.Finished) for t in members]
        assert len({message.digest for message in finished}) == 1


MANY_BUCKETS = {
    "engine.buckets.FIRST_BYTES": 256,
    "engine.buckets.LARGEST_BYTES": 1024,
    "engine.buckets.QUICK_SECONDS": 0,
    "engine.formation.ring.SMALL_BYTES": 0,
}
"""As with a large model: gradients go out while backward runs, and no sum is small."""


@pytest.mark.parametrize("constants", [{}, MANY_BUCKETS], ids=["one bucket", "many buckets"])
@pytest.mark.parametrize("reduction", ["ring", "star"])
@pytest.mark.parametrize(
    ("fault", "decisions"),
    [
        # Voted and committed, or at least prepared by all, but one never learns of it.
        ({"c": {"break": {"after_vote": 4}}}, {Decision.APPLY}),
        # One never brings in its part: the step cannot be prepared by anybody.
        ({"b": {"break": {"before_reduce": 4}}}, {Decision.REDO}),
        ({"a": {"die": {"before_reduce": 4}}}, {Decision.REDO}),
        # The end of the reduction, or of the vote, may or may not have come through to all the others.
        ({"b": {"die": {"before_vote": 4}}}, {Decision.APPLY, Decision.REDO}),
        ({"a": {"die": {"after_vote": 4}}}, {Decision.APPLY, Decision.REDO}),
    ],
)
def test_the_step_in_doubt(
    tmp_path: Path,
    reduction: str,
    constants: dict[str, int],
    fault: dict[str, dict[str, Any]],
    decisions: set[Decision],
) -> None:
    with coordinating(tmp_path, reduction=reduction, constants=constants) as group:
        group.start(group.spawn_all("a", "b", "c", options=fault))
        group.run()
        check_exact(group)
        assert decided(group, 4) in decisions
        stop_all(group)


@pytest.mark.parametrize("seed", range(4))
def test_kills_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Members die one after another, others come; whoever is left has trained on everything once."""
    chance = random.Random(seed)
    reduction, constants = chance.choice(["ring", "star"]), chance.choice([{}, MANY_BUCKETS])
    with coordinating(tmp_path, reduction=reduction, constants=constants, epochs=40, leash=0.15) as group:
        group.start(group.spawn_all("a", "b", "c", "d"))
        group.replace_at_any_moment(chance, "e", "f")
        group.run()
        check_exact(group)
        assert len([t for t in group.members if t.alive]) == 4, "the training was over too soon"
        stop_all(group)


@pytest.mark.parametrize("reduction", ["ring", "star"])
def test_backward_that_comes_by_twice_loses_nothing(tmp_path: Path, reduction: str) -> None:
    """Some of what it makes is on its way already then: it is summed once more, with all that came."""
    with coordinating(tmp_path, reduction=reduction, constants=MANY_BUCKETS) as group:
        group.start(group.spawn_all("a", "b", "c", options={name: {"twice": True} for name in "abc"}))
        group.run()
        check_exact(group)
        stop_all(group)


def test_backward_that_comes_by_twice_trains_as_if_it_came_once(tmp_path: Path) -> None:
    models = []
    for twice in (False, True):
        root = tmp_path / f"twice-{twice}"
        with coordinating(root, constants=MANY_BUCKETS, epochs=4, twice=twice) as group:
            group.start(group.spawn_all("a"))
            group.run()
            stop_all(group)
        models.append(load_file(root / "model-a" / "model.safetensors"))
    once, twice_as_often = models
    for name in (name for name in once if name.endswith(("weight", "bias"))):
        torch.testing.assert_close(twice_as_often[name], once[name], rtol=1e-3, atol=1e-4)


def test_a_newcomer_moves_as_if_it_had_been_there(tmp_path: Path) -> None:
    """Schedulers, moments and buffers of one that joined late are those of the first members, bit by bit."""
    with coordinating(tmp_path, epochs=40, leash=0.15) as group:
        group.start(group.spawn_all("a", "b"))
        group.until(lambda: group.committed() >= 10)
        newcomer = group.spawn("c", model_seed=9)
        group.join(newcomer)
        loaded, caught_up = newcomer.last(link.Loaded), newcomer.last(link.CaughtUp)
        assert 10 <= loaded.position.committed <= caught_up.position.committed
        group.run()
        check_exact(group)
        assert [decision for decision, _ in group.decisions[1:]] == [Decision.NONE]
        stop_all(group)


def test_a_stopped_member_is_put_out_and_comes_back(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=40, leash=0.15) as group:
        members = group.spawn_all("a", "b", "c")
        group.start(members)
        group.until(lambda: group.committed() >= 5)
        stopped = members[2]
        stopped.signal(signal.SIGSTOP)
        group.reform(without=(stopped,))
        step = group.committed()
        group.until(lambda: group.committed() >= step + 5)
        stopped.signal(signal.SIGCONT)
        group.join(stopped)
        group.run()
        check_exact(group)
        assert stopped in group.members
        stop_all(group)


def test_a_formation_that_cannot_be_built_names_whom_it_waits_for(tmp_path: Path) -> None:
    with coordinating(tmp_path) as group:
        members = group.spawn_all("a", "b", "c")
        for trainer in members:
            trainer.send(link.Start(FIRST_HISTORY))
        group.until(lambda: all(t.last(link.Started) for t in members))
        members[2].signal(signal.SIGSTOP)
        group.members = members
        group.form(Decision.NONE, 0, members, build_seconds=0.5)
        group.until(lambda: all(t.last(link.BuildFailed) for t in members[:2]))
        assert {tuple(t.last(link.BuildFailed).unreachable) for t in members[:2]} == {("c",)}
        group.members = members[:2]
        group.form(Decision.NONE, 0, members[:2])
        group.run()
        check_exact(group)


def test_a_survivor_begins_a_new_generation_with_what_it_has(tmp_path: Path) -> None:
    """In the middle of a step, with its group gone; and one of the old generation comes back to it."""
    with coordinating(tmp_path, epochs=40, leash=0.15) as group:
        first, second, third = group.spawn_all("a", "b", "c")
        group.start([first, second, third])
        group.until(lambda: group.committed() >= 5)
        third.signal(signal.SIGSTOP)
        second.signal(signal.SIGKILL)
        group.until(lambda: not second.alive)
        group.start_over(first)
        group.until(lambda: group.committed() >= 12)
        third.signal(signal.SIGCONT)
        group.join(third)
        group.run()
        check_exact(group)
        assert first.last(link.Progress).formation.history == of_generation(2)
        stop_all(group)


@pytest.mark.parametrize("reduction", ["ring", "star"])
def test_a_survivors_state_is_taken_in_the_middle_of_its_step(tmp_path: Path, reduction: str) -> None:
    """Its step cannot end without a group, and there is no group before others have its state."""
    with coordinating(tmp_path, reduction=reduction, epochs=40, leash=0.15) as group:
        first, second, newcomer = group.spawn_all("a", "b", "c")
        group.start([first, second])
        group.until(lambda: group.committed() >= 5)
        second.signal(signal.SIGKILL)
        group.until(lambda: first.last(link.Broken))
        group.start_over(first, newcomer)
        group.run()
        check_exact(group)
        assert [decision for decision, _ in group.decisions] == [Decision.NONE, Decision.NONE]
        stop_all(group)


def test_members_whose_bits_drift_apart_are_made_alike(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=40, leash=0.15) as group:
        members = group.spawn_all("a", "b", options={"b": {"drift_at": 5}})
        group.start(members)
        group.until(lambda: group.committed() >= 7)
        group.reform()
        group.run()
        check_exact(group)
        stop_all(group)


def test_formations_leave_nothing_behind(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=200, leash=0.02) as group:
        members = group.spawn_all("a", "b", "c")
        group.start(members)

        def open_files() -> int:
            return sum(len(list(Path(f"/proc/{t.process.pid}/fd").iterdir())) for t in members)

        def again(times: int) -> None:
            for _ in range(times):
                group.step_after(group.reform)

        again(3)
        before = open_files()
        again(12)
        # Of each formation one would be too many. The last one's own ends may still be closing, and now and
        # then Gloo forgets to end an operation when its connections close: that holds its files for ten
        # minutes.
        group.until(lambda: open_files() < before + 12 * len(members))
