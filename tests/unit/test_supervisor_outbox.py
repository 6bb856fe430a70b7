"""What follows a vote waits for the disk, in its order; the loop does not."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.voter import Persist
from edgetrain.supervisor import disk_writer as disk_writer_module
from edgetrain.supervisor.disk import BadDisk, Disk
from edgetrain.supervisor.disk_writer import DiskWriter
from edgetrain.supervisor.outbox import Outbox
from tests.support.histories import FIRST

MEMBERS = (Member("w-a", "pod-w-a", "i1"), Member("w-b", "pod-w-b", "i2"))


def record(promised: int) -> Record:
    return Record(Pod("w-a", "pod-w-a"), FIRST, Formation(1, MEMBERS, "w-a"), promised=promised)


class SlowDisk:
    """Writes nothing before it may, and each record only when it was let."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writer = DiskWriter(directory, directory)
        self.may = threading.Semaphore(0)
        save = self.writer.kept.save_record

        def slowly(one: Record) -> None:
            self.may.acquire()
            save(one)

        monkeypatch.setattr(self.writer.kept, "save_record", slowly)

    @property
    def promised(self) -> int:
        """As a restart would read it."""
        found = Disk(self.writer.kept.directory).record()
        return found.promised if found else 0


async def until(done: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_for, done, 30)


def test_no_vote_leaves_before_it_is_written_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        disk, sent = SlowDisk(tmp_path, monkeypatch), list[tuple[str, int]]()
        outbox = Outbox()

        def send(what: str) -> Callable[[], None]:
            return lambda: sent.append((what, disk.promised))

        outbox.put(send("before"))
        assert sent == [("before", 0)], "at once, where nothing is to be written"
        for number in (1, 2):  # two lists of effects, the second while the first still waits
            outbox.put(partial(disk.writer.save_votes, Persist(record(number))))
            outbox.put(send(f"vote {number}"))
            outbox.put(send(f"order {number}"))
        for _ in range(50):  # heartbeats
            await asyncio.sleep(0)
        assert len(sent) == 1 and outbox.waits
        disk.may.release()
        await until(lambda: len(sent) == 3)
        assert sent[1:] == [("vote 1", 1), ("order 1", 1)]
        disk.may.release()
        await until(lambda: len(sent) == 5)
        assert sent[3:] == [("vote 2", 2), ("order 2", 2)] and not outbox.waits

    asyncio.run(scenario())


def test_after_a_vote_that_could_not_be_written_nothing_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        outbox, sent, disk = Outbox(), list[str](), DiskWriter(tmp_path, tmp_path)
        (tmp_path / "votes.json").mkdir()
        outbox.put(partial(disk.save_votes, Persist(record(1))))
        outbox.put(lambda: sent.append("vote"))
        await until(lambda: outbox.unfit is not None)
        outbox.put(lambda: sent.append("later"))
        assert sent == [] and "votes.json cannot be written" in str(outbox.unfit)

    asyncio.run(scenario())


def test_a_deed_that_ends_it_is_the_last() -> None:
    async def scenario() -> None:
        outbox, done = Outbox(), list[str]()

        def give_up() -> None:
            outbox.put(lambda: done.append("behind"))
            raise BadDisk("votes are lost")

        outbox.put(give_up)
        assert done == [] and str(outbox.unfit) == "votes are lost"

    asyncio.run(scenario())


def test_what_a_deed_asks_for_comes_behind_all_that_waits() -> None:
    async def scenario() -> None:
        outbox, done = Outbox(), list[str]()

        def first() -> None:
            outbox.put(lambda: done.append("second"))
            done.append("first")

        outbox.put(first)
        assert done == ["first", "second"]

    asyncio.run(scenario())


def test_a_disk_that_hangs_is_silent_and_one_that_owes_nothing_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_writer_module, "SILENT_SECONDS", 0.05)

    async def scenario() -> None:
        disk = SlowDisk(tmp_path, monkeypatch)
        assert not disk.writer.silent
        written = disk.writer.save_votes(Persist(record(1)))
        await until(lambda: disk.writer.silent)
        disk.may.release()
        await written
        assert not disk.writer.silent and disk.promised == 1

    asyncio.run(scenario())
