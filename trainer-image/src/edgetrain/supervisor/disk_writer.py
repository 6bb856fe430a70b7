"""The supervisor's disk beside its loop: it is written to in order, and the loop goes on meanwhile."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from edgetrain.group.effects import SetAside
from edgetrain.group.members import Member
from edgetrain.group.voter import Persist
from edgetrain.rundir import Heartbeat, write_heartbeat
from edgetrain.supervisor.disk import Disk
from edgetrain_protocol.signed_plan import SignedPlan

log = logging.getLogger(__name__)

SILENT_SECONDS = 3.0
"""Longer than a card usually takes that tidies itself up."""

Job = Callable[[], object]
Done = asyncio.Future[None]
"""Once what was written would survive a power cut; or it has the error."""


class DiskWriter:
    """A thread for the disk; methods are the loop's thread's.

    Not an executor: a disk that hangs must not keep the process from ending.
    """

    def __init__(self, directory: Path, run_dir: Path) -> None:
        """`run_dir` is the profiler's too: it is on the same disk."""
        self._run_dir = run_dir
        self.kept = Disk(directory)
        """Read at the start, before anything is written."""
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Job, Done]] = SimpleQueue()
        self._begun: deque[float] = deque()
        """When each job that is not done was handed over, the oldest first."""
        self._looking: Done | None = None
        self._beating: Done | None = None
        threading.Thread(target=self._run, name="disk", daemon=True).start()

    @property
    def silent(self) -> bool:
        """It owes something for longer than it may take."""
        return bool(self._begun) and self._loop.time() - self._begun[0] > SILENT_SECONDS

    def save_votes(self, of: Persist | SetAside) -> Done:
        """The future may have BadDisk."""
        save = self.kept.save_record if isinstance(of, Persist) else self.kept.save_aside
        return self._do(partial(save, of.record))

    def save_member(self, member: Member) -> Done:
        """The future may have BadDisk."""
        return self._do(partial(self.kept.save_member, member))

    def save_plan(self, plan: SignedPlan) -> Done:
        return self._do(partial(self.kept.save_plan, plan))

    def look(self) -> bool:
        """Whether it was gone when last looked at; and look again."""
        if self._looking is None or self._looking.done():
            self._looking = self._do(self.kept.look)
        return self.kept.gone

    def save_beat(self, beat: Heartbeat) -> None:
        """For the profiler; passed over while the last one is still being written."""
        if self._beating is None or self._beating.done():
            self._beating = self._do(partial(self._write_beat, beat))

    def _write_beat(self, beat: Heartbeat) -> None:
        try:
            write_heartbeat(self._run_dir, beat)
        except OSError as error:
            log.debug("no heartbeat file: %s", error)

    def _do(self, job: Job) -> Done:
        done: Done = self._loop.create_future()
        self._begun.append(self._loop.time())
        self._jobs.put((job, done))
        return done

    def _run(self) -> None:
        while True:
            job, done = self._jobs.get()
            error: Exception | None = None
            try:
                job()
            except Exception as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(self._settle, done, error)
            except RuntimeError:
                return  # The loop is closed: nobody waits any more.

    def _settle(self, done: Done, error: Exception | None) -> None:
        self._begun.popleft()
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)
