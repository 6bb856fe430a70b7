"""A program that is edited under a running job: who starts with the new one stays out until it is undone."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from tests.support.group import LocalGroup, Worker

FAKE = Path(__file__).parent / "fake_trainer.py"


@pytest.fixture
def group(tmp_path: Path) -> Iterator[LocalGroup]:
    def command(worker: Worker) -> list[str]:
        return [sys.executable, str(FAKE), str(worker.log), "1000000"]

    group = LocalGroup(tmp_path, command, 3)
    for worker in group.workers:
        edit(worker, "decay = 0.999")
    try:
        group.give(group.plan())
        group.start()
        wait_for(lambda: group.whole() and group.step > 5, 20, group.tail)
        yield group
    finally:
        group.close()
    group.check_history()


def edit(worker: Worker, text: str) -> None:
    (worker.directory / "program").mkdir(exist_ok=True)
    (worker.directory / "program" / "main.py").write_text(text)


def test_an_edited_program_stays_out_until_the_edit_is_undone(group: LocalGroup) -> None:
    edit(group.workers[2], "decay = 0.9")
    group.next_commit(5)
    assert group.whole(), "nothing becomes of an edit alone"
    group.kill_trainer(2)
    wait_for(lambda: group.whole(0, 1) and len(group.workers[2].lines("start")) == 2, 10, group.tail)
    last = group.workers[2].step
    for _ in range(40):
        group.next_commit(5, but=(2,))
    assert group.workers[2].step == last and group.whole(0, 1)
    edit(group.workers[2], "decay = 0.999")
    wait_for(group.whole, 15, group.tail)
    assert len(group.workers[2].lines("start")) == 3


def test_the_same_program_comes_back_at_once(group: LocalGroup) -> None:
    edit(group.workers[2], "decay = 0.999")
    group.kill_trainer(2)
    wait_for(lambda: group.whole() and len(group.workers[2].lines("start")) == 2, 10, group.tail)
