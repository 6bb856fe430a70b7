"""A thread that does what others ask of it one after the other, and after each what is due by itself."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

ANSWER_SECONDS = 60.0
"""A disk that takes longer takes nothing."""
T = TypeVar("T")


class InTurn:
    def __init__(self, name: str, due: Callable[[], float], clock: Callable[[], float]) -> None:
        """`due`: does what is due, and returns when to look again, if nothing is asked before."""
        self._due, self._clock = due, clock
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Once all that was asked before is done."""
        self._asked.put(None)
        self._thread.join()

    def wait(self) -> None:
        """Until it has ended: by `close`, or by a defect."""
        self._thread.join()

    def wake(self) -> None:
        """It looks what is due."""
        self._asked.put(lambda: None)

    def do(self, what: Callable[[], T]) -> T:
        """There. Raises what it raises, and TimeoutError: the disk hangs."""
        done: Future[T] = Future()

        def asked() -> None:
            try:
                result = what()
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(result)

        self._asked.put(asked)
        return done.result(ANSWER_SECONDS)

    def _run(self) -> None:
        look_at = 0.0
        while True:
            try:
                asked = self._asked.get(timeout=max(0.0, look_at - self._clock()))
            except Empty:
                look_at = self._due()
                continue
            if asked is None:
                return
            asked()
            look_at = self._due()
