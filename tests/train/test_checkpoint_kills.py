"""Writers killed at any moment leave nothing that stays, and nothing that passes for a checkpoint."""

import multiprocessing
import time
from pathlib import Path

import pytest

from edgetrain.engine.state.checkpoint import KEEP, Checkpoints
from tests.support.checkpoints import newest, saved, snapshot

KILLS = 12


def save_on(root: Path, first: int) -> None:
    checkpoints = Checkpoints(root, "a")
    for step in range(first, first + 10**6):
        checkpoints.save(snapshot(1, step))


@pytest.mark.attack(19)
def test_kills_while_saving(tmp_path: Path) -> None:
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["edgetrain.session"])
    for kill in range(KILLS):
        first = 1000 * kill + 1
        writer = forks.Process(target=save_on, args=(tmp_path, first))
        writer.start()
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob(f"a/lineage-0001-all-0001-step-{first // 1000:07d}*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.001 * kill)
        writer.kill()
        writer.join()
        last, damages = newest(Checkpoints(tmp_path, "a"), 10**9)
        assert last is not None and last.position.committed >= first
        assert damages == []
    saved(tmp_path, steps=(10**6,))
    kept = sorted(file.suffix for file in (tmp_path / "a").iterdir())
    assert kept == [".json"] * KEEP + [".pt"] * KEEP
