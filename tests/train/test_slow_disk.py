"""Real supervisors, one of them with a disk that hangs: a file system that is frozen under it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from tests.support.fake_group import pretending, trained
from tests.support.frozen_disk import FrozenDisk, frozen_disk
from tests.support.group import LocalGroup, Worker

SECONDS = 60


@contextmanager
def group_with_a_disk(directory: Path, index: int) -> Iterator[tuple[LocalGroup, FrozenDisk]]:
    """It trains already. In the end its history has no fork."""
    with ExitStack() as stack:
        group = pretending(directory / "group", 4)
        home = group.workers[index].directory
        disk = stack.enter_context(frozen_disk(directory / "image", home / "state"))
        (home / "state" / "run").mkdir()
        (home / "run").symlink_to(home / "state" / "run")  # all of a pod's own volumes are on one disk
        stack.callback(group.close)
        stack.callback(disk.thaw)
        group.give(group.plan())
        group.start()
        yield trained(group), disk
    group.check_history()


def votes(worker: Worker) -> bytes:
    return (worker.directory / "state" / "supervisor" / "votes.json").read_bytes()


def silences(group: LocalGroup, index: int) -> int:
    """How often another has missed its heartbeats."""
    return sum(worker.errors.count(f"w{index} is silent") for worker in group.workers)


@pytest.mark.parametrize("index", [3, 0], ids=["a member", "the aggregator"])
def test_a_disk_that_hangs_keeps_its_worker_out_of_votes_and_not_its_heartbeats_back(
    tmp_path: Path, index: int
) -> None:
    with group_with_a_disk(tmp_path, index) as (group, disk):
        slow = group.workers[index]
        before, missed, step = votes(slow), silences(group, index), slow.step
        disk.freeze()
        wait_for(lambda: slow.step > step + 50, SECONDS, group.tail)
        assert group.whole(), "steps need no disk"
        group.kill_trainer(1)
        group.next_commit(SECONDS, but=(index,))
        wait_for(lambda: "the disk does not answer" in slow.errors, SECONDS, group.tail)
        others = tuple(n for n in range(4) if n != index)
        wait_for(lambda: group.whole(*others), SECONDS, group.tail)
        assert votes(slow) == before, "what it has voted is not on its disk"
        assert silences(group, index) == missed
        disk.thaw()
        wait_for(group.whole, SECONDS, group.tail)
        wait_for(lambda: "the disk answers again" in slow.errors, SECONDS, group.tail)
        assert votes(slow) != before
