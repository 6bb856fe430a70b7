"""A program that does something of its own for long, such as an evaluation, in a group of two."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from tests.support.group import LocalGroup, Worker

PROGRAM = Path(__file__).parent / "training_program.py"
START_SECONDS = 180
AWAY_SECONDS = 12


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGroup]:
    """w0 aggregates."""

    def command(worker: Worker) -> list[str]:
        return [sys.executable, str(PROGRAM), str(worker.log), "100000", "0.02"]

    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    group = LocalGroup(tmp_path_factory.mktemp("group"), command, 2, env=env)
    try:
        group.give(group.plan())
        group.start()
        wait_for(lambda: group.whole() and group.step > 3, START_SECONDS, group.tail)
        yield group
    finally:
        group.close()


@pytest.mark.parametrize("leads", [True, False])
def test_the_other_goes_on_by_its_supervisors_vote(pair: LocalGroup, leads: bool) -> None:
    away = 0 if leads else 1
    draft = pair.workers[away].log.with_suffix(".draft")
    draft.write_text(str(AWAY_SECONDS))
    draft.rename(draft.with_suffix(".away"))
    wait_for(lambda: not draft.with_suffix(".away").exists(), 10, pair.tail)
    wait_for(lambda: pair.whole(1 - away), AWAY_SECONDS - 2, pair.tail)
    wait_for(pair.whole, 60, pair.tail)
    pair.check_history()
