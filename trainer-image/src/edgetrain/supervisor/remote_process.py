"""A process of edgetrain.remote's, from its order to its last word."""

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

from edgetrain.remote.orders import Done, Failed, GotOn, Order, Waits, read_said, to_line
from edgetrain.remote.process import COMMAND, NO_WORD


class RemoteProcess:
    """One at a time: who is told to stop ends it."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def carry_out(self, order: Order, heard: Callable[[GotOn | Waits | Done], None]) -> Done | Failed:
        """Its last word. `heard` is called with what it says; with Done while what was fetched is kept."""
        process = self._process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE)
        assert process.stdin and process.stdout
        try:
            process.stdin.write(to_line(order))
            while line := await process.stdout.readline():
                said = read_said(line)
                if isinstance(said, Failed):
                    return said
                heard(said)
                if isinstance(said, Done):
                    return said
            return NO_WORD
        finally:
            process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
