"""The profiler lets the trainer start first, waits for it no longer than it says, and starts gently."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edgetrain.profiler.trainer_first import HEAD_START_SECONDS, SHARE, give_head_start, importing_gently
from edgetrain.rundir import FINISHING_FILE, Heartbeat, ask_for_reports, write_heartbeat


def waited(run_dir: Path, after: float = 0.0, happens: Callable[[], object] = lambda: None) -> float:
    """Seconds that were waited in all, where something happened after some."""
    slept = 0.0

    def sleep(seconds: float) -> None:
        nonlocal slept
        if slept < after <= slept + seconds:
            happens()
        slept += seconds

    give_head_start(run_dir, sleep)
    return slept


def test_a_trainer_that_has_begun_is_not_waited_for(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, Heartbeat(at=0.0, step=1))
    assert waited(tmp_path) == 0


def test_it_waits_for_the_first_step(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, Heartbeat(at=0.0, phase="wait", step=0))
    seconds = waited(tmp_path, 4.0, lambda: write_heartbeat(tmp_path, Heartbeat(at=4.0, step=1)))
    assert seconds == pytest.approx(4.0, abs=0.2)


def test_a_program_that_ended_without_a_step_is_reported_at_once(tmp_path: Path) -> None:
    seconds = waited(tmp_path, 2.0, lambda: ask_for_reports(tmp_path))
    assert (tmp_path / FINISHING_FILE).exists()
    assert seconds == pytest.approx(2.0, abs=0.2)


def test_a_trainer_that_only_waits_is_waited_for_no_longer_than_ten_seconds(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, Heartbeat(at=0.0, phase="wait", step=0))
    assert waited(tmp_path) == pytest.approx(HEAD_START_SECONDS)


def test_its_imports_leave_most_of_a_core_to_the_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = "import time\nend = time.process_time() + 0.05\nwhile time.process_time() < end: pass\n"
    for name in ("busy_one", "busy_two", "idle_last"):
        (tmp_path / f"{name}.py").write_text(busy if name != "idle_last" else "")
    monkeypatch.syspath_prepend(tmp_path)
    rested: list[float] = []
    with importing_gently(rested.append):
        for name in ("busy_one", "busy_two", "idle_last"):
            importlib.import_module(name)
    assert 0.1 / (0.1 + sum(rested)) <= SHARE + 0.01
    assert max(rested) < 0.3, "the rest comes after each module, not after all"
    within = len(rested)
    importlib.reload(importlib.import_module("busy_one"))
    assert len(rested) == within
