"""One live connection to another supervisor."""

import asyncio
from dataclasses import dataclass

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

    def send(self, message: Spoken) -> None:
        """Queue a message; never waits."""
        if self.writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.close()
            return
        self.writer.write(framed(encode(message)))

    def close(self) -> None:
        self.writer.transport.abort()
