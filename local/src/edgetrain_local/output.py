"""What a container says: all of it into its log, and line by line to the terminal."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

_LAST_LINES = 20

Say = Callable[[str], None]


class Output(threading.Thread):
    """Reads one start of a container to its end. `say` is called in this thread, and must not wait."""

    def __init__(self, pipe: IO[bytes], log: Path, say: Say) -> None:
        super().__init__(name=f"output of {log.stem}", daemon=True)
        self._pipe, self._log, self._say = pipe, log, say
        self.last: deque[str] = deque(maxlen=_LAST_LINES)

    def run(self) -> None:
        with self._pipe, self._log.open("ab") as log:
            for raw in self._pipe:
                log.write(raw)
                log.flush()
                self._hear(raw.decode(errors="replace"))

    def _hear(self, text: str) -> None:
        # Of a bar that is drawn over itself, what stands there in the end.
        line = text.rstrip("\r\n").rpartition("\r")[2]
        self.last.append(line)
        if line:
            self._say(line)
