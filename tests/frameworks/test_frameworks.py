"""Scripts of frameworks that keep their own loops: alone, as a group, and where members come and go."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgetrain import link
from tests.support.trainers import coordinating, stop_all

SCRIPTS = Path(__file__).parents[2] / "examples" / "frameworks"
REGRESSION = SCRIPTS.parent / "scripts" / "regression.py"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
ROUNDED = {"hugging_face": 2e-4}
"""Absolute differences that come of sums in another order: AdamW moves what has next to no gradient as far as
anything else."""
SEED = os.environ.get("SEED", "0")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look for a network of their own, and warn of one another."""
    for name, value in {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)


def trained_alone(script: Path, directory: Path) -> dict[str, torch.Tensor]:
    env = {**os.environ, "EDGETRAIN_MODEL_DIR": str(directory)}
    subprocess.run([sys.executable, str(script)], check=True, env=env, cwd=directory, timeout=90)
    return load_file(directory / "model.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_a_group_comes_to_the_model_of_one_process(tmp_path: Path, name: str) -> None:
    alone = trained_alone(SCRIPTS / f"{name}.py", tmp_path)
    with coordinating(tmp_path, script=str(SCRIPTS / f"{name}.py")) as group:
        group.start(group.spawn_all("a", "b", "c"))
        group.run()
        for member in group.members:
            model = load_file(tmp_path / f"model-{member.worker}" / "model.safetensors")
            torch.testing.assert_close(model, alone, rtol=5e-5, atol=ROUNDED.get(name, 5e-6))
        stop_all(group)


@pytest.mark.parametrize("name", NAMES)
def test_members_come_and_go_and_all_have_one_model(tmp_path: Path, name: str) -> None:
    """The newcomer's own loop begins at the first epoch, where the others are further."""
    chance = random.Random(f"{name} {SEED}")
    with coordinating(tmp_path, script=str(SCRIPTS / f"{name}.py"), pause=0.6) as group:
        group.start(group.spawn_all("a", "b", "c"))
        newcomer = group.spawn("d", pause=0.0)
        group.until(lambda: any(p.epoch >= 1 for t in group.members if (p := t.last(link.Progress))))
        # Nothing to wait for: that it is any moment is the point.
        time.sleep(chance.random() * 0.4)
        group.lose(chance.choice(group.members))
        group.join(newcomer)
        group.run()
        living = [member for member in group.members if member.alive]
        assert len(living) == 3
        assert newcomer in living
        assert len({member.last(link.Finished).digest for member in living}) == 1
        stop_all(group)


def test_the_main_member_writes_for_tensorboard(tmp_path: Path) -> None:
    text = REGRESSION.read_text().replace("join()", f"join(tensorboard={str(tmp_path / 'board')!r})")
    script = tmp_path / "regression.py"
    script.write_text(text)
    trained_alone(script, tmp_path)
    read = EventAccumulator(str(tmp_path / "board"))
    read.Reload()
    losses = [event.value for event in read.Scalars("loss")]
    assert len(losses) == 16
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("name", "steps"), [("hugging_face", 12), ("lightning_trainer", 8)])
def test_a_job_that_ends_early_ends_with_the_epoch_that_is_under_way(
    tmp_path: Path, name: str, steps: int
) -> None:
    """The first one, of so many batches: each framework would go on with more."""
    with coordinating(tmp_path, script=str(SCRIPTS / f"{name}.py"), pause=0.3) as group:
        group.start(group.spawn_all("a", "b"))
        group.members[1].send(link.Finish())
        group.until(group.finished)
        told = [member.last(link.Progress) for member in group.members]
        assert {progress.epoch for progress in told} == {0}
        assert len({member.last(link.Finished).digest for member in group.members}) == 1
        assert all(progress.step >= steps for progress in told)
        stop_all(group)
