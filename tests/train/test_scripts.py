"""Ordinary scripts, as a person would bring them: alone, and in a group that loses and gets members, they
come to the same model."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgetrain import link
from tests.support.trainers import Coordinator, Trainer, coordinating, stop_all

SCRIPTS = Path(__file__).parents[2] / "examples" / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
SEED = os.environ.get("SEED", "0")
OWN_DATA = {"drawn", "sensors", "stream"}
"""Whose members train on what they draw, or have, themselves: one process does not come to the same."""
ROUNDED = {"mixed": 2e-3, "closures": 1e-4}
"""Relative differences that come of sums in another order, where bf16 or a line search makes them larger."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    """Each script's model, trained by one process without a job."""
    found = {}
    for name in NAMES:
        directory = tmp_path_factory.mktemp(name)
        env = {**os.environ, "EDGETRAIN_MODEL_DIR": str(directory), "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [sys.executable, "-W", "error", str(SCRIPTS / f"{name}.py")], check=True, env=env, timeout=60
        )
        found[name] = load_file(directory / "model.safetensors")
    return found


def check_same(group: Coordinator, name: str, right: dict[str, torch.Tensor], members: list[Trainer]) -> None:
    for member in members:
        model = load_file(group.root / f"model-{member.worker}" / "model.safetensors")
        assert model.keys() == right.keys()
        for key, value in right.items():
            assert value.isfinite().all()
            torch.testing.assert_close(
                model[key], value, rtol=ROUNDED.get(name, 2e-5), atol=ROUNDED.get(name, 2e-6)
            )


@pytest.mark.parametrize("name", NAMES)
def test_a_group_comes_to_the_model_of_one_process(
    tmp_path: Path, alone: dict[str, dict[str, torch.Tensor]], name: str
) -> None:
    with coordinating(tmp_path, script=str(SCRIPTS / f"{name}.py")) as group:
        members = group.spawn_all("a", "b", "c")
        group.start(members)
        group.run()
        if name not in OWN_DATA:
            check_same(group, name, alone[name], members)
        assert len({member.last(link.Finished).digest for member in members}) == 1
        stop_all(group)


# Not by torch's compiler once more, which takes each process ten seconds.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "tied"])
def test_members_come_and_go_at_any_moment_and_all_have_one_model(tmp_path: Path, name: str) -> None:
    chance = random.Random(f"{name} {SEED}")
    with coordinating(tmp_path, script=str(SCRIPTS / f"{name}.py"), pause=0.4) as group:
        first = group.spawn_all("a", "b", "c")
        # Before they begin: on a busy machine they could be through before it has started.
        newcomer = group.spawn("d", pause=0.0)
        group.start(first)
        group.until(lambda: group.committed() >= 2)
        # Nothing to wait for: that it is any moment is the point.
        time.sleep(chance.random() * 0.4)
        group.lose(chance.choice(group.members))
        group.join(newcomer)
        group.run()
        living = [member for member in group.members if member.alive]
        assert len(living) == 3
        assert len({member.last(link.Finished).digest for member in living}) == 1
        assert not group.broken()
        stop_all(group)


@pytest.mark.parametrize("name", ["early_stop", "gan", "own_loop", "phases", "regression"])
def test_a_member_that_was_away_for_epochs_comes_back(tmp_path: Path, name: str) -> None:
    """It goes through its loops without training, to where the others are: what its program does between
    epochs is not done twice."""
    with coordinating(tmp_path, script=str(SCRIPTS / f"{name}.py"), pause=0.4) as group:
        members = group.spawn_all("a", "b", "c", options={"c": {"pause": 0.0}})
        group.start(members)
        group.until(lambda: group.committed() >= 2)
        members[2].signal(signal.SIGSTOP)
        group.reform(without=(members[2],))
        group.until(lambda: any(p.epoch >= 2 for t in members if (p := t.last(link.Progress))))
        members[2].signal(signal.SIGCONT)
        group.join(members[2])
        group.run()
        assert members[2] in group.members
        assert len({member.last(link.Finished).digest for member in members}) == 1
        stop_all(group)


OWN_ROWS = """
import os
import torch
from torch.utils.data import DataLoader, TensorDataset
import edgetrain

session = edgetrain.join()
rows = {"a": 3, "b": 5, "c": 12}[os.environ["EDGETRAIN_WORKER"]]
x = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
own = x[{3: slice(0, 3), 5: slice(3, 8), 12: slice(8, 20)}[rows]]
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(own), batch_size=12))
for _ in session.epochs(5):
    for (bx,) in loader:
        optimizer.zero_grad()
        (model(bx)[:, 0] - bx.sum(1)).square().mean().backward()
        optimizer.step()
session.save(model)
"""


def test_data_of_each_ones_own_count_by_their_samples(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    script.write_text(OWN_ROWS)
    with coordinating(tmp_path, script=str(script), data_policy="local") as group:
        members = group.spawn_all("a", "b", "c")
        group.start(members)
        group.run()
        check_same(group, "own", trained_on_all_rows(), members)
        progress = members[0].last(link.Progress)
        assert progress.samples == progress.totals.samples == 5 * 20
        stop_all(group)


def trained_on_all_rows() -> dict[str, torch.Tensor]:
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (model(x)[:, 0] - x.sum(1)).square().mean().backward()
        optimizer.step()
    return {name: value.detach() for name, value in model.state_dict().items()}
