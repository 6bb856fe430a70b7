"""One live connection to another supervisor."""

import asyncio
from dataclasses import dataclass

from edgetrain import tcp_info
from edgetrain.group.members import Pod
from edgetrain.supervisor.detector import Pulse

BACKLOG_BYTES = 4 << 20
"""Unsent: a peer so far behind is as good as lost."""


@dataclass
class PeerConnection:
    pod: Pod
    writer: asyncio.StreamWriter
    pulse: Pulse
    _early: int = 0
    """Packets that had come in before their turn, when that was last looked at."""

    def send(self, frame: bytes) -> None:
        """Queue a message; never waits."""
        if self.writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.close()
            return
        self.writer.write(frame)

    def look(self, now: float) -> None:
        """Whether something came that the kernel cannot hand over yet: a sign of life, if no word."""
        # No socket where TLS has let go of one that is closed.
        info = tcp_info.look(self.writer.get_extra_info("socket"))
        if info and info.early and info.early != self._early:
            self._early = info.early
            self.pulse.stir(now)

    def close(self) -> None:
        self.writer.transport.abort()
