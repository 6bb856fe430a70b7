"""What prober and probe server say to each other over TCP.

After a TLS handshake (edgetrain.credentials), so that neither serves as an amplifier for strangers:

    server -> b"+"                    or b"B": a probe is under way here; it hangs up

Both leave TLS in order then: what bursts measure is the link, not how fast a processor encrypts, and there is
nothing in them. Any number of: b"E" -> b"E" (echo); b"C" -> bytes received and sent by the interface;
b"D" + size -> that many bytes; b"U" + size + bytes -> the trace of their arrival.
"""

import socket
import ssl
import struct

from edgetrain.profiler.burst import POINTS, Trace
from edgetrain.profiler.counters import CarriedBytes

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


def in_the_clear(secured: ssl.SSLSocket) -> socket.socket:
    """The connection without TLS from here on, at both ends.

    Raises:
        OSError: the other end does not do the same.
    """
    secured.unwrap()
    # An SSLSocket cannot say when its bytes arrived, with or without TLS.
    return socket.socket(fileno=secured.detach())


def send_size(connection: socket.socket, command: bytes, size: int) -> None:
    connection.sendall(command + _SIZE.pack(size))


def read_size(connection: socket.socket) -> int:
    size: int = _SIZE.unpack(read_exactly(connection, _SIZE.size))[0]
    if not 0 < size <= LARGEST:
        raise ProbeError(f"a burst of {size} bytes is outside 1 to {LARGEST}")
    return size


def send_carried(connection: socket.socket, carried: CarriedBytes) -> None:
    connection.sendall(_COUNT.pack(carried.received, carried.sent))


def read_carried(connection: socket.socket) -> CarriedBytes:
    return CarriedBytes(*_COUNT.unpack(read_exactly(connection, _COUNT.size)))


def send_trace(connection: socket.socket, trace: Trace) -> None:
    connection.sendall(_TRACE.pack(*trace.times))


def read_trace(connection: socket.socket, size: int) -> Trace:
    return Trace(size, _TRACE.unpack(read_exactly(connection, _TRACE.size)))
