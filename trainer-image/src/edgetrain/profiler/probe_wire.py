"""What prober and probe server say to each other over TCP.

    server -> nonce                   client -> nonce + proof (handshake.py)
    server -> b"+" + proof            or b"B": a probe is under way here, or hangs up

then any number of: b"E" -> b"E" (echo); b"C" -> bytes received and sent by the interface; b"D" + size ->
that many bytes; b"U" + size + bytes -> the trace of their arrival. All workers of a job hold its token, so
each end proves itself to the other, and neither serves as an amplifier for strangers.
"""

import socket
import struct

from edgetrain.profiler.burst import POINTS, Trace
from edgetrain.profiler.counters import Carried

LARGEST = 16 << 20
"""A burst that a server agrees to."""

ECHO, COUNT, DOWN, UP = b"E", b"C", b"D", b"U"
READY, BUSY = b"+", b"B"
_SIZE = struct.Struct("!I")
_COUNT = struct.Struct("!QQ")
_TRACE = struct.Struct(f"!{POINTS}d")


class ProbeError(Exception):
    """A probe that gave no measure; the text says why."""


class Busy(ProbeError):
    """The peer takes part in another probe."""


def read_exactly(connection: socket.socket, count: int) -> bytes:
    """`count` bytes.

    Raises:
        ProbeError: the other end hung up before.
    """
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ProbeError(f"the other end hung up after {len(data)} of {count} bytes")
        data += piece
    return bytes(data)


def send_size(connection: socket.socket, command: bytes, size: int) -> None:
    connection.sendall(command + _SIZE.pack(size))


def read_size(connection: socket.socket) -> int:
    size: int = _SIZE.unpack(read_exactly(connection, _SIZE.size))[0]
    if not 0 < size <= LARGEST:
        raise ProbeError(f"a burst of {size} bytes is outside 1 to {LARGEST}")
    return size


def send_carried(connection: socket.socket, carried: Carried) -> None:
    connection.sendall(_COUNT.pack(carried.received, carried.sent))


def read_carried(connection: socket.socket) -> Carried:
    return Carried(*_COUNT.unpack(read_exactly(connection, _COUNT.size)))


def send_trace(connection: socket.socket, trace: Trace) -> None:
    connection.sendall(_TRACE.pack(*trace.times))


def read_trace(connection: socket.socket, size: int) -> Trace:
    return Trace(size, _TRACE.unpack(read_exactly(connection, _TRACE.size)))
