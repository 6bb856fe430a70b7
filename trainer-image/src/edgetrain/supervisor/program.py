"""The user's program as a process of ours: its local link, its life, its last words."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edgetrain.link import Message, Ping, Pong, Stop
from edgetrain.link.codec import BadMessage, decode, encode
from edgetrain.supervisor.home import lacking
from edgetrain.supervisor.last_words import LastWords
from edgetrain_protocol.names import Env

log = logging.getLogger(__name__)

LINE_BYTES = 8 << 20
PING_SECONDS = 0.2
HUNG_SECONDS = 0.8
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""torch's threads sleep while they have nothing to do. By default they spin: on a device that shares its
cores, or below a quota, that takes the time from the step itself, and from the group's heartbeats. numpy's
always spin; with one they are none: low rank's products beside backward need no more."""
_CHUNK_BYTES = 64 << 10


class CannotStart(RuntimeError):
    """The command cannot be run at all."""


@dataclass
class Program:
    """One start of the program: one incarnation."""

    on_message: Callable[[Message], None]
    env: Mapping[str, str] = field(default_factory=dict)
    """In the place of what our own environment says."""
    incarnation: str = field(default_factory=lambda: secrets.token_hex(4))
    last_words: LastWords = field(default_factory=LastWords)
    hung: bool = False
    _process: Process | None = None
    _writer: asyncio.StreamWriter | None = None
    _answered: float | None = None
    _ending: bool = False
    """It was asked to end: that it answers no more is no sign that it hangs."""

    async def run(self, command: Sequence[str], on_hung: Callable[[bool], None]) -> int:
        """Start it and wait for its end; returns its exit status, negative for a signal.

        Raises:
            CannotStart: no such command, or it may not be run.
            Exception: whatever `on_message` raises, or what came over the link is no line.
        """
        ours, theirs = socket.socketpair()
        heard, spoken = os.pipe()
        try:
            process = self._process = await self._spawn(command, theirs, spoken)
        except OSError as error:
            ours.close()
            os.close(heard)
            mend = "check program.command and program.image"
            raise CannotStart(f"cannot run {command[0]!r}: {error.strerror or error}; {mend}") from error
        finally:
            theirs.close()
            os.close(spoken)
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
        watching = asyncio.create_task(self._watch(on_hung))
        reading = asyncio.create_task(self._read(reader))
        last = [asyncio.create_task(self._keep_words(heard)), reading]
        ending = asyncio.create_task(process.wait())
        try:
            await asyncio.wait([ending, reading], return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and (defect := reading.exception()):
                # Who hears no more of its program must not live on beside it.
                _end_with_its_own(process)
                await ending
                raise defect
            status = await ending
            # Last words matter where the program raised; one that was killed has none, and the group waits.
            await asyncio.wait(last, timeout=1 if status > 0 else 0.02)
            return status
        finally:
            for task in (watching, ending, *last):
                task.cancel()
            self._writer.close()
            _end_with_its_own(process)

    def send(self, message: Message) -> None:
        """To the program, if it lives."""
        self._ending |= isinstance(message, Stop)
        if self._writer and not self._writer.is_closing():
            self._writer.write(encode(message))

    def signal(self, number: signal.Signals) -> None:
        self._ending = True
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def _spawn(self, command: Sequence[str], link: socket.socket, stderr: int) -> Process:
        """`stderr` is a pipe of ours: by one of asyncio's own a process has ended only once all whom it has
        started, and who write there too, have ended as well."""
        environment = {
            **WAITING,
            **os.environ,
            **lacking(os.environ),
            **self.env,
            Env.LINK_FD: str(link.fileno()),
            "PYTHONUNBUFFERED": "1",
        }
        return await asyncio.create_subprocess_exec(
            *command, pass_fds=[link.fileno()], env=environment, stderr=stderr, start_new_session=True
        )

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await _line(reader):
            try:
                message = decode(line)
            except BadMessage as error:
                log.error("%s; are program and supervisor of one version?", error)
                continue
            if isinstance(message, Pong):
                self._answered = asyncio.get_running_loop().time()
            else:
                self.on_message(message)

    async def _keep_words(self, pipe: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
        )
        try:
            # By what there is and not by line: a progress bar that never ends its line would fill any limit,
            # and a pipe that nobody reads any more stops the program in its next write.
            while written := await reader.read(_CHUNK_BYTES):
                _pass_on(written)
                self.last_words.hear(written)
        finally:
            transport.close()
            if self.last_words.amid_a_line:
                _pass_on(b"\n")

    async def _watch(self, on_hung: Callable[[bool], None]) -> None:
        """Its link's thread answers whatever the program computes; a stopped process does not."""
        loop = asyncio.get_running_loop()
        while True:
            self.send(Ping())
            slept = loop.time()
            await asyncio.sleep(PING_SECONDS)
            late = loop.time() - slept - PING_SECONDS
            if self._answered is None or self._ending:
                continue
            if late > PING_SECONDS:
                # We did not run either: its answers may lie unread.
                self._answered += late
            hung = loop.time() - self._answered > HUNG_SECONDS
            if hung != self.hung:
                self.hung = hung
                on_hung(hung)


def _end_with_its_own(process: Process) -> None:
    """Whom it has started, such as a loader's workers, must not keep memory and ports from the next one. The
    number is theirs as long as any of them lives."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _pass_on(written: bytes) -> None:
    sys.stderr.buffer.write(written)
    sys.stderr.flush()


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end, which a killed program's socket may report as a reset."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""
