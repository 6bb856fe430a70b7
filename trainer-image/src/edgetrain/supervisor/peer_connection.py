"""One live connection to another supervisor."""

import asyncio
import struct
from dataclasses import dataclass

from edgetrain import tcp_info
from edgetrain.group.members import Pod
from edgetrain.supervisor.detector import Pulse
from edgetrain.supervisor.frames import framed
from edgetrain.supervisor.wire import Spoken, encode

BACKLOG_BYTES = 4 << 20
"""Unsent: a peer so far behind is as good as lost."""


@dataclass
class PeerConnection:
    pod: Pod
    writer: asyncio.StreamWriter
    pulse: Pulse
    _early: int = 0
    """Packets that had come in before their turn, when that was last looked at."""

    def send(self, message: Spoken) -> None:
        """Queue a message; never waits."""
        if self.writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.close()
            return
        self.writer.write(framed(encode(message)))

    def look(self, now: float) -> None:
        """Whether something came that the kernel cannot hand over yet: a sign of life, if no word."""
        connection = self.writer.get_extra_info("socket")
        if connection is None:
            return  # TLS has let go of one that is closed.
        try:
            early = tcp_info.read(connection).early or 0
        except (OSError, struct.error):
            return  # It is being closed, or the kernel is too old to tell.
        if early != self._early:
            self._early = early
            self.pulse.stir(now)

    def close(self) -> None:
        self.writer.transport.abort()
