"""Workers that are groups by themselves train one model: supervisors, programs and holders, by plans as the
operator makes them."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgetrain_protocol.plan import Phase, RoundSettings
from edgetrain_protocol.signed_plan import SignedPlan
from edgetrain_protocol.strategy import MergeWeights, OuterRule, RoundPayload, RoundPolicy
from tests.support.group import LocalGroup, in_rounds, training_command
from tests.train.training_program import SAMPLES

EPOCHS = 6


def trained(group: LocalGroup, sites: Iterable[list[int]] = ([0], [1], [2])) -> Counter[int]:
    """How often each sample was in a committed step of anybody's; members of a site write down the same."""
    found: Counter[int] = Counter()
    for members in sites:
        steps = {(line["step"], *line["content"]) for i in members for line in group.workers[i].commits}
        found.update(index for _, _, *indices in steps for index in indices)
    return found


SITES = {"a": [0, 1], "b": [2, 3]}


def begun(
    directory: Path,
    holders: list[int],
    epochs: int = EPOCHS,
    groups: dict[str, list[int]] | None = None,
    pause: float = 0.02,
    **settings: Any,
) -> AbstractContextManager[LocalGroup]:
    size = sum(map(len, groups.values())) if groups else 3
    command = training_command(epochs, pause)
    return in_rounds(directory, command, size, holders, groups, RoundSettings(**settings))


def finish(group: LocalGroup, holders: list[int], groups: dict[str, list[int]] | None = None) -> None:
    """All have their models, and those are told to end whom nobody needs; the others once the plan says stop,
    as it does when the operator has heard of all models."""
    models = [worker.directory / "model" / "model.safetensors" for worker in group.workers]
    wait_for(lambda: all(model.exists() for model in models), 90.0, group.tail)
    others = [worker for i, worker in enumerate(group.workers) if i not in holders]
    wait_for(lambda: all(worker.lines("finished") for worker in others), 60.0, group.tail)
    assert not any(group.workers[i].lines("finished") for i in holders)
    group.give_rounds(group.rounds(holders, groups), 100, phase=Phase.STOP)
    wait_for(lambda: all(worker.lines("finished") for worker in group.workers), 60.0, group.tail)


def test_three_workers_train_one_model_and_each_sample_once_an_epoch(tmp_path: Path) -> None:
    with begun(tmp_path, [0]) as group:
        finish(group, [0])
        models = [worker.lines("finished")[0]["model"] for worker in group.workers]
        assert models[0] == models[1] == models[2]
        assert trained(group) == dict.fromkeys(range(SAMPLES), EPOCHS)


NESTEROV = {"learning_rate": 0.7, "momentum": 0.9}


@pytest.mark.parametrize(
    "settings",
    [
        {"outer": OuterRule.NESTEROV, **NESTEROV, "weights": MergeWeights.SAMPLES},
        {"outer": OuterRule.DELAYED_NESTEROV, **NESTEROV, "policy": RoundPolicy.STALENESS, "limit": 4},
        {"weights": MergeWeights.FED_NOVA, "policy": RoundPolicy.GROUPS, "limit": 2},
        {"policy": RoundPolicy.STEPS, "limit": 8},
        {"payload": RoundPayload.INT8},
        {"payload": RoundPayload.BF16, "outer": OuterRule.NESTEROV, **NESTEROV},
    ],
    ids=["diloco", "async", "fednova of two", "n-batch-sync", "int8", "diloco in bf16"],
)
def test_however_work_is_merged_nothing_is_lost_and_all_end_with_one_model(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    with begun(tmp_path, [0, 1, 2], **settings) as group:
        finish(group, [0, 1, 2])
        models = [worker.lines("finished")[0]["model"] for worker in group.workers]
        assert models[0] == models[1] == models[2]
        assert trained(group) == dict.fromkeys(range(SAMPLES), EPOCHS)


def test_a_holder_and_a_program_that_are_killed_are_gone_on_without_and_come_back(tmp_path: Path) -> None:
    with begun(tmp_path, [0, 1, 2], epochs=20) as group:
        rounds = group.rounds([0, 1, 2])
        os.kill(holder_of(group, 0), signal.SIGKILL)
        group.kill_trainer(1)
        # As the operator does where the only member of a group has ended.
        group.give(group.plan(2, [1], group="w1", rounds=rounds, generation=2), [1])
        before = len(group.workers[1].commits)
        wait_for(lambda: len(group.workers[1].commits) > before, 60.0, group.tail)
        wait_for(lambda: holder_of(group, 0), 30.0, group.tail)
        group.hurry()
        finish(group, [0, 1, 2])
        models = [worker.lines("finished")[-1]["model"] for worker in group.workers]
        assert models[0] == models[1] == models[2]
        # What the killed program had not handed over was trained on again.
        assert all(count >= 20 for count in trained(group).values()) and len(trained(group)) == SAMPLES


def test_two_sites_of_two_train_one_model_and_lose_nobodys_work(tmp_path: Path) -> None:
    """Whoever is killed, of either site: the other member goes on, also with what is under way, and who comes
    back does its steps again with the same pull."""
    epochs = 120
    with begun(tmp_path, [0], epochs, SITES, pause=0.3, proximal=0.1) as group:
        for victim in (1, 2):
            group.kill_trainer(victim)
            trains_on(group, victim ^ 1)
            trains_on(group, victim)
        group.hurry()
        finish(group, [0], SITES)
        assert not any("were mended" in worker.errors for worker in group.workers), group.tail()
        models = [worker.lines("finished")[-1]["model"] for worker in group.workers]
        assert all(model == models[0] for model in models)
        assert trained(group, SITES.values()) == dict.fromkeys(range(SAMPLES), epochs)


def test_a_log_on_volumes_is_gone_on_with_by_pods_that_are_all_new(tmp_path: Path) -> None:
    with begun(tmp_path, [0, 1, 2], epochs=20, pause=0.2) as group:
        wait_for(lambda: all(worker.step > 20 for worker in group.workers), 60.0, group.tail)
        before = trained(group)
        group.replace_pods()
        group.give_rounds(group.rounds([0, 1, 2]), 2, generation=2)
        group.hurry()
        group.start()
        finish(group, [0, 1, 2])
        models = [worker.lines("finished")[-1]["model"] for worker in group.workers]
        assert models[0] == models[1] == models[2]
        # What had been merged was not trained on again: less than a second's work of each had not been.
        after = trained(group)
        assert min(after.values()) == 20 and sum(after.values()) - 20 * SAMPLES < sum(before.values())


def trains_on(group: LocalGroup, index: int) -> None:
    worker = group.workers[index]
    before = len(worker.commits)
    wait_for(lambda: len(worker.commits) > before + 1, 90.0, group.tail)


def holder_of(group: LocalGroup, index: int) -> int:
    """The process that holds the log beside this worker's supervisor; 0 where there is none just now."""
    process = group.workers[index].process
    assert process is not None
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return next((int(pid) for pid in started if b"edgetrain.aggregator" in command_of(pid)), 0)


def command_of(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


PASSES_BY_ITSELF = """
import torch, edgetrain
from torch.utils.data import TensorDataset
session = edgetrain.join()
model = torch.nn.Linear(4, 1)
session.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
for (x,) in session.loader(TensorDataset(torch.ones(8, 4)), batch_size=4):
    model(x).sum().backward()
"""


def test_a_program_that_counts_its_epochs_itself_is_told_how_to_say_them(tmp_path: Path) -> None:
    """The others could not know when it ends."""
    script = tmp_path / "passes.py"
    script.write_text(PASSES_BY_ITSELF)
    group = LocalGroup(tmp_path, lambda worker: [sys.executable, str(script)], 1)
    try:
        group.give_rounds(group.rounds([0]))
        group.start()
        wait_for(lambda: group.workers[0].ended, 60.0, group.tail)
        assert "one loop over session.epochs" in group.workers[0].errors
    finally:
        group.close()


def test_a_plan_that_a_holder_is_passed_by_its_fellow_and_that_names_no_group_ends_nothing(
    tmp_path: Path,
) -> None:
    """As an operator made them that told groups to holders alone: all groups would be over by it."""
    epochs = 60
    with begun(tmp_path, [0], epochs, SITES, pause=0.3) as group:
        silent = group.rounds([0], SITES).model_copy(update={"groups": {}})
        group.give(group.plan(2, SITES["a"], group="a", rounds=silent), [1])
        wait_for(lambda: has_plan(group, 0, 2), 30.0, group.tail)
        for index in range(4):
            trains_on(group, index)
        group.hurry()
        finish(group, [0], SITES)
        assert trained(group, SITES.values()) == dict.fromkeys(range(SAMPLES), epochs)


def has_plan(group: LocalGroup, index: int, revision: int) -> bool:
    """Its supervisor keeps it, whoever brought it."""
    kept = group.workers[index].state / "supervisor" / "plan.json"
    return SignedPlan.model_validate_json(kept.read_text()).plan.revision == revision
