"""A pod of the job that was taken over: it connects as any pod does, and says what it likes."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.waiting import wait_for
from edgetrain.group.members import Pod
from edgetrain.supervisor.peers import Peers
from edgetrain.supervisor.wire import Spoken
from tests.support.group import LocalGroup
from tests.support.identities import credentials

ADDRESS = "127.9.9.9"
"""The greatest: who has it dials at once."""


class Insider:
    """Runs in a thread of its own. Says its words to each supervisor that lets it in."""

    def __init__(self, group: LocalGroup, folder: Path, worker: str, words: tuple[Spoken, ...]) -> None:
        self._words = words
        self._supervisors = {Pod(w.name, f"pod-{w.name}"): (w.address, w.control_port) for w in group.workers}
        self._supervisors.pop(Pod(worker, f"pod-{worker}"), None)
        self._pod, self._credentials = Pod(worker, f"pod-{worker}"), credentials(folder, worker)
        self.told: set[Pod] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._talk()))
        self._running = threading.Event()

    async def _talk(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        peers = Peers(self._pod, ADDRESS, self._credentials, self._opened, lambda *_: None, lambda *_: None)
        self._peers = peers
        peers.want(self._supervisors)
        await self._end.wait()
        peers.close()

    def _opened(self, pod: Pod) -> None:
        for word in self._words:
            self._peers.send(pod, word)
        self.told.add(pod)

    def __enter__(self) -> "Insider":
        self._thread.start()
        self._running.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


@contextmanager
def insider(group: LocalGroup, folder: Path, *words: Spoken, worker: str = "w9") -> Iterator[None]:
    """From when it has spoken to all whose supervisors run."""
    running = sum(w.process is not None for w in group.workers)
    with Insider(group, folder, worker, words) as one:
        wait_for(lambda: len(one.told) >= running, 10, group.tail)
        yield
