"""Single keys from a terminal, without Enter; none where there is none, or it is another's now."""

import os
import select
import signal
import sys
import termios
import time
import tty
from types import TracebackType
from typing import Any, Self


class Keys:
    def __init__(self) -> None:
        here = sys.stdin is not None and sys.stdin.isatty()
        self._terminal = sys.stdin.fileno() if here else None
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        self._take()
        # After a stop by Ctrl-Z a shell has set the terminal as it likes it.
        signal.signal(signal.SIGCONT, lambda *_: self._take())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        if self._terminal is not None and self._before and self._ours:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def pressed(self, seconds: float) -> str:
        """Those of the next `seconds`, as soon as there is one."""
        if self._terminal is None or not self._ours:
            time.sleep(seconds)
            return ""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return ""
        try:
            return os.read(self._terminal, 64).decode(errors="replace")
        except OSError:  # The terminal was closed.
            self._terminal = None
            return ""

    @property
    def _ours(self) -> bool:
        """Whether we run before it: who reads or sets it from behind is stopped."""
        try:
            return self._terminal is not None and os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            # It is no terminal that controls us, as a test's: nobody else reads it.
            return True

    def _take(self) -> None:
        if self._terminal is not None and self._ours:
            self._before = self._before or termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)
