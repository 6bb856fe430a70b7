"""What Linux tells of a TCP connection: the few fields of its tcp_info that are looked at here."""

import socket
import struct
from dataclasses import dataclass

_TIMERS = struct.Struct("=2xBB")
_UNACKED = struct.Struct("=24xI")
_COUNTERS = struct.Struct("=120xQQ")
_LATER = struct.Struct("=192xI28xII")
"""Places in the structure are part of Linux' stable ABI: later kernels only add to its end. The counters are
there since 4.2, what is later since 5.4."""


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
    delivered: int | None
    """Packets that the other end has acknowledged, also those behind one that is missing; None where this
    kernel is too old to tell, as below."""
    early: int | None
    """Packets that have come in before one that was sent earlier."""
    window: int | None
    """Bytes that the other end has room for."""


def read(connection: socket.socket) -> TcpInfo:
    """Raises OSError: it is closed, or no TCP; struct.error: the kernel is older than 4.2."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LATER.size)
    return parse(info)


def look(connection: socket.socket | None) -> TcpInfo | None:
    """As `read`; None where it is closed, is let go of, or the kernel is too old to tell."""
    try:
        return read(connection) if connection is not None else None
    except (OSError, struct.error):
        return None


def parse(info: bytes) -> TcpInfo:
    retransmits, probes = _TIMERS.unpack_from(info)
    acked, received = _COUNTERS.unpack_from(info)
    later = _LATER.unpack_from(info) if len(info) >= _LATER.size else (None, None, None)
    delivered, early, window = later
    return TcpInfo(
        retransmits=retransmits,
        probes=probes,
        unacked=_UNACKED.unpack_from(info)[0],
        acked=acked,
        received=received,
        delivered=delivered,
        early=early,
        window=window,
    )
