"""Workers with data of their own train one model in rounds, each on its own as often as its program says."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import nn

from benchmarks.waiting import wait_for
from tests.support.group import TRAINING_PROGRAM, LocalGroup, Worker, in_rounds
from tests.train.test_rounds_job import finish, trains_on
from tests.train.training_program import FEATURES, batches_of

WIDTH = 8


def command(epochs: int, features: Sequence[int], pause: float) -> Callable[[Worker], list[str]]:
    """Of a worker whose data have this feature alone."""

    def of(worker: Worker) -> list[str]:
        numbers = (epochs, pause, WIDTH, features[int(worker.name[1:])])
        return [sys.executable, str(TRAINING_PROGRAM), str(worker.log), *map(str, numbers)]

    return of


def begun(
    directory: Path,
    epochs: int,
    features: Sequence[int],
    groups: dict[str, list[int]] | None = None,
    pause: float = 0.01,
) -> AbstractContextManager[LocalGroup]:
    local = {"EDGETRAIN_DATA_POLICY": "local"}
    program = command(epochs, features, pause)
    return in_rounds(directory, program, len(features), [0], groups, env=local)


def model_of(worker: Worker) -> nn.Module:
    model = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))
    for parameter, numbers in zip(model.parameters(), worker.lines("finished")[-1]["model"], strict=True):
        parameter.data.copy_(torch.tensor(numbers).view_as(parameter))
    return model


def has_learned(model: nn.Module, feature: int) -> bool:
    """Untrained it is wrong by 0.2 to 0.4."""
    x = torch.zeros(50, FEATURES)
    x[:, feature] = torch.linspace(-1, 1, 50)
    with torch.no_grad():
        return float((model(x) - x.sum(1, keepdim=True)).square().mean()) < 0.15


def steps_by_epoch(worker: Worker) -> Counter[int]:
    return Counter(line["epoch"] for line in worker.commits)


def check(group: LocalGroup, features: Sequence[int]) -> None:
    """All end with one model, which knows what each of them alone had."""
    models = [worker.lines("finished")[-1]["model"] for worker in group.workers]
    assert all(model == models[0] for model in models)
    assert all(has_learned(model_of(group.workers[0]), feature) for feature in features)


def test_each_trains_on_its_own_and_all_end_with_a_model_that_knows_of_all(tmp_path: Path) -> None:
    features, epochs = (0, 2), 150
    with begun(tmp_path, epochs, features) as group:
        finish(group, [0])
        check(group, features)
        assert not has_learned(model_of(group.workers[0]), 1), "nobody has it"
        for worker, feature in zip(group.workers, features, strict=True):
            assert steps_by_epoch(worker) == dict.fromkeys(range(epochs), batches_of(feature))


def test_the_others_wait_for_one_that_is_killed_and_begins_anew(tmp_path: Path) -> None:
    """It has data that nobody else has; without a checkpoint it goes through all of them again."""
    features, epochs = (0, 2, 3), 100
    with begun(tmp_path, epochs, features) as group:
        wait_for(lambda: group.workers[2].step > 20, 60.0, group.tail)
        group.kill_trainer(2)
        # As the operator does where the only member of a group has ended.
        group.give(group.plan(2, [2], group="w2", rounds=group.rounds([0]), generation=2), [2])
        finish(group, [0])
        check(group, features[-1:])
        assert steps_by_epoch(group.workers[2])[epochs - 1] == batches_of(3)


def test_members_of_a_site_train_together_on_what_each_has(tmp_path: Path) -> None:
    """An epoch is as long as its longest member's data."""
    features, epochs, sites = (0, 1, 2, 3), 100, {"a": [0, 1], "b": [2, 3]}
    with begun(tmp_path, epochs, features, sites, pause=0.3) as group:
        group.kill_trainer(3)
        trains_on(group, 2)
        trains_on(group, 3)
        group.hurry()
        finish(group, [0], sites)
        check(group, features)
        # Without its longest member an epoch of the other site is shorter.
        assert steps_by_epoch(group.workers[0]) == dict.fromkeys(range(epochs), batches_of(1))
