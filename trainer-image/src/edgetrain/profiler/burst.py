"""One burst of bytes over a socket, timed by its receiver.

What a link lets through at first says nothing: token buckets let their fill pass at once, and TCP
begins slowly. So only the second half of a burst counts, and only where the first shows none of that.
"""

import bisect
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

POINTS = 16
"""Of a trace: enough to find halves and quarters, and to lay several traces over one another."""
AT_ONCE, PACING = 0.15, 1.6
"""Bounds of the first half's time over the second's."""
OVERHEAD = 1.1
"""Of headers on the payload; what an interface carried beyond this is other traffic."""
CHUNK = 64 << 10
SO_TIMESTAMPNS = 35
"""Of Linux, on all architectures that it runs Python on; the socket module does not name it."""
_STAMP = struct.Struct("@ll")
# Random, since a link that compresses would shine with zeros.
_FILLING = memoryview(os.urandom(CHUNK))


@dataclass(frozen=True)
class Trace:
    """When each sixteenth of a burst had arrived, in seconds since the receiver began to wait for it."""

    size: int
    times: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """From the first sixteenth to the last, so without the wait for the first byte."""
        return self.times[-1] - self.times[0]

    def arrived(self, when: float) -> float:
        """Bytes that had arrived by then, interpolated; none before the first sixteenth had."""
        after = bisect.bisect_right(self.times, when)
        if after in (0, len(self.times)):
            return float(self.size if after else 0)
        earlier, later = self.times[after - 1], self.times[after]
        return self.size / len(self.times) * (after + (when - earlier) / max(later - earlier, 1e-9))

    @property
    def half(self) -> float:
        return self.times[len(self.times) // 2 - 1]

    @property
    def at_once(self) -> bool:
        """Whether so much of the first half came at once that a full bucket may have reached beyond it."""
        first, second = self._halves
        return first < AT_ONCE * second

    @property
    def settled(self) -> bool:
        """Whether the second half tells the link's rate.

        Not where the first came at once, nor where it took much longer: TCP was still finding its pace, or
        an end had no processor. Quarters would be too short: packets come in bunches.
        """
        first, second = self._halves
        return not self.at_once and first <= PACING * second

    @property
    def _halves(self) -> tuple[float, float]:
        return self.half - self.times[0], self.times[-1] - self.half


@dataclass(frozen=True)
class Window:
    """The counted part of a burst."""

    start: float
    end: float
    bytes: float

    @property
    def bits_per_second(self) -> float:
        return self.bytes * 8 / (self.end - self.start)


def counted(traces: Sequence[Trace]) -> Window:
    """The second half of a burst; of several simultaneous ones, the middle of what came over all of them.

    Where their receiver's link is the limit, the sum is steady whoever is served first; where the senders'
    links are, they were given sizes that let them end together, but for a fifth. `traces` must have one
    time origin.
    """
    first, last = (0.5, 1.0) if len(traces) == 1 else (0.4, 0.8)
    size = sum(trace.size for trace in traces)
    start, end = _when(traces, first * size), _when(traces, last * size)
    return Window(start, max(end, start + 1e-6), (last - first) * size)


def link_rate(counted_rate: float, size: int, carried: int, seconds: float) -> float:
    """Of our link, in bits per second, where other traffic had its part of it during a burst of `size` bytes.

    `carried` bytes went over the interface in all, in the burst's `seconds`. The other traffic's mean rate
    is too high to be added where it flowed before and after, and all that was carried says too much where
    a token bucket was full at first: the lesser of the two is right in both cases.
    """
    others = others_rate(carried, size, seconds)
    return max(counted_rate, min(counted_rate + others, 8 * carried / OVERHEAD / seconds))


def others_rate(carried: int, size: int, seconds: float) -> float:
    """Bits per second over an interface that are not of a burst of `size` bytes."""
    return 8 * max(0.0, carried - OVERHEAD * size) / seconds


def _when(traces: Sequence[Trace], arrived: float) -> float:
    """The time at which that many bytes had come over all together, interpolated."""
    begun, before = 0.0, 0.0
    for moment in sorted(moment for trace in traces for moment in trace.times):
        total = sum(trace.arrived(moment) for trace in traces)
        if total >= arrived:
            return begun + (moment - begun) * (arrived - before) / max(total - before, 1e-9)
        begun, before = moment, total
    return begun


def send(connection: socket.socket, size: int) -> None:
    """Write `size` bytes that do not compress."""
    while size > 0:
        connection.sendall(_FILLING[: min(size, CHUNK)])
        size -= CHUNK


def receive(connection: socket.socket, size: int, began: float | None = None) -> Trace:
    """Read `size` bytes. `began`, in Unix time: the trace's origin, if not now.

    Raises:
        ConnectionError: the sender hung up before.
        TimeoutError: nothing came for the socket's time-out.
    """
    began = time.time() if began is None else began
    connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    buffer = memoryview(bytearray(CHUNK))
    knots: list[tuple[float, int]] = []
    arrived = 0
    while arrived < size:
        count, stamp = _read(connection, buffer[: min(CHUNK, size - arrived)])
        if count == 0:
            raise ConnectionError(f"the sender hung up after {arrived} of {size} bytes")
        arrived += count
        latest = knots[-1][0] if knots else 0.0
        if knots and stamp - began <= latest:
            knots[-1] = latest, arrived
        else:
            knots.append((stamp - began, arrived))
    return Trace(size, _sixteenths(knots, size))


def _read(connection: socket.socket, buffer: memoryview) -> tuple[int, float]:
    """Bytes read, and when the kernel got the last of them.

    Our own time of reading would not do: a process that waits for a processor finds a full buffer, and
    reads it faster than any link is.
    """
    count, ancillary, *_ = connection.recvmsg_into([buffer], socket.CMSG_SPACE(_STAMP.size))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) >= _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack(data[: _STAMP.size])
            return count, float(seconds + nanoseconds * 1e-9)
    return count, time.time()


def _sixteenths(knots: Sequence[tuple[float, int]], size: int) -> tuple[float, ...]:
    """When each sixteenth had arrived, interpolated between (time, bytes arrived by then)."""
    times: list[float] = []
    begun, before = knots[0][0], 0
    for moment, arrived in knots:
        while len(times) < POINTS and (mark := size * (len(times) + 1) / POINTS) <= arrived:
            times.append(begun + (moment - begun) * (mark - before) / (arrived - before))
        begun, before = moment, arrived
    return tuple(times)
