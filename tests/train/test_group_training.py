"""Real trainers under real supervisors: kills and stops of each role, and every sample accounted for."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain_protocol.plan import Phase
from tests.support.group import LocalGroup, training_group
from tests.train.training_program import SAMPLES

START_SECONDS = 90
"""Importing torch four times on two busy cores."""

EPOCHS = 300
"""A minute with pauses: a killed program is to be back before the end on a slow machine too."""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[LocalGroup]:
    with training_group(tmp_path, 4, epochs=EPOCHS, start_seconds=START_SECONDS) as group:
        yield group


def check_accounts(group: LocalGroup) -> None:
    """Each epoch that was trained to its end saw each sample exactly once."""
    history = group.check_history()
    last = max(line["epoch"] for line in history.values())
    for epoch in range(last):
        seen = Counter(i for line in history.values() if line["epoch"] == epoch for i in line["content"][1:])
        assert seen == Counter(range(SAMPLES)), f"epoch {epoch}"


def test_whoever_is_killed_or_stopped_no_step_forks_and_no_sample_is_lost(group: LocalGroup) -> None:
    group.kill_trainer(2)
    killed = group.next_commit(10, but=(2,))
    group.signal_pod(3, signal.SIGSTOP)
    stopped = group.next_commit(10, but=(2, 3))
    group.signal_pod(3, signal.SIGCONT)
    wait_for(group.whole, START_SECONDS, group.tail)
    group.kill_trainer(0)
    aggregator_killed = group.next_commit(10, but=(0,))
    print(f"killed {killed:.3f} s, stopped {stopped:.3f} s, aggregator killed {aggregator_killed:.3f} s")
    group.hurry()
    wait_for(lambda: len(group.finished) >= 3, START_SECONDS, group.tail)
    # One that was killed at the end may come too late to join; only an operator can tell it that all is over.
    plan = group.plan(revision=2, phase=Phase.STOP)
    group.give(plan)
    for worker in group.workers:
        group.await_finishing(worker, 30)
        (worker.directory / "run" / "profiler-drained").touch()
        assert worker.process is not None
        assert worker.process.wait(START_SECONDS) == 0, worker.errors[-3000:]
    check_accounts(group)
    models = [worker.lines("finished")[-1]["model"] for worker in group.finished]
    assert all(model == models[0] for model in models)
    assert max(killed, aggregator_killed) < 2 and stopped < 3
