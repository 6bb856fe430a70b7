"""What Linux tells of a TCP connection: the few fields of its tcp_info that are looked at here."""

import socket
import struct
from dataclasses import dataclass

_TIMERS = struct.Struct("=2xBB")
_UNACKED = struct.Struct("=24xI")
_COUNTERS = struct.Struct("=120xQQ")
_WINDOW = struct.Struct("=228xI")
"""Places in the structure are part of Linux' stable ABI: later kernels only add to its end. The counters are
there since 4.2, the window since 5.4."""


@dataclass(frozen=True)
class TcpInfo:
    retransmits: int
    """How often in a row the kernel's timer has sent the oldest byte on its way again, without an answer."""
    probes: int
    """How many packets without data, sent since to see whether the other end is there, have no answer."""
    unacked: int
    """Packets that were sent and not acknowledged."""
    acked: int
    """Bytes that the other end's kernel has acknowledged."""
    received: int
    """Bytes that have come in."""
    window: int | None
    """Bytes that the other end has room for; None where the kernel is too old to tell."""


def read(connection: socket.socket) -> TcpInfo:
    """Raises OSError: it is closed, or no TCP; struct.error: the kernel is older than 4.2."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WINDOW.size)
    return parse(info)


def parse(info: bytes) -> TcpInfo:
    retransmits, probes = _TIMERS.unpack_from(info)
    acked, received = _COUNTERS.unpack_from(info)
    return TcpInfo(
        retransmits=retransmits,
        probes=probes,
        unacked=_UNACKED.unpack_from(info)[0],
        acked=acked,
        received=received,
        window=_WINDOW.unpack_from(info)[0] if len(info) >= _WINDOW.size else None,
    )
