"""Real supervisors whose plan says finish: their programs end well, also one that starts only then."""

from collections import Counter
from pathlib import Path

from benchmarks.waiting import wait_for
from tests.support.group import training_group
from tests.train.training_program import SAMPLES

START_SECONDS = 90
"""Importing torch three times on two busy cores."""


def test_a_plan_that_says_finish_ends_all_programs_with_one_model(tmp_path: Path) -> None:
    """One is killed right after, and is told by its supervisor, or by the state that it comes back to."""
    with training_group(tmp_path, 3, start_seconds=START_SECONDS) as group:
        group.give(group.plan(revision=2, finish=True))
        group.kill_trainer(2)
        wait_for(lambda: len(group.finished) >= 2, START_SECONDS, group.tail)
        for worker in group.workers[:2]:
            group.await_finishing(worker, 60)
            (worker.directory / "run" / "profiler-drained").touch()
            assert worker.process is not None
            assert worker.process.wait(START_SECONDS) == 0, worker.errors[-3000:]
        models = [worker.lines("finished")[-1]["model"] for worker in group.finished]
        assert all(model == models[0] for model in models)
        history = group.check_history()
        last = max(line["epoch"] for line in history.values())
        seen = Counter(i for line in history.values() if line["epoch"] == last for i in line["content"][1:])
        assert seen == Counter(range(SAMPLES)), "its last epoch is whole"
