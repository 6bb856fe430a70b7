"""Our side of a probe: bursts in both directions, as many and as large as the link needs.

A burst starts at 128 KiB, or at what the link needed last time, and doubles until it takes 15 ms (or
four round trips, in which TCP finds its pace) and is settled; the median of a few counts. After each
burst the link is left alone for as long as it took.
"""

import socket
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from edgetrain.credentials import Credentials
from edgetrain.profiler import burst
from edgetrain.profiler.burst import Trace, counted, link_rate, others_rate
from edgetrain.profiler.counters import CarriedBytes, Interface
from edgetrain.profiler.probe_wire import (
    COUNT,
    DOWN,
    ECHO,
    READY,
    UP,
    Busy,
    ProbeError,
    in_the_clear,
    read_carried,
    read_exactly,
    read_trace,
    send_size,
)
from edgetrain_protocol.report import LinkMeasure, ProbeOrder, ProbeTarget

SMALLEST = 128 << 10
ENOUGH_SECONDS = 0.015
"""Short, since arrivals are timed by the kernel: a scheduler's tick is no part of them."""
ENOUGH_ROUND_TRIPS = 4
UNSETTLED = 2
"""Bursts beyond those ordered, in the hope that they settle."""
JOINT_SECONDS = 0.12
"""How long the peers of a joint probe send, by what is known of each."""
CONNECT_SECONDS = 3.0
BUSY_TRIES, BUSY_SECONDS = 4, 0.25
"""A peer may not have noticed yet that its last prober is gone."""
ECHOES = 5
MOST_BURSTS = 24
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class ProbedPeer:
    """An open, mutually proven connection to a probe server."""

    target: ProbeTarget
    connection: socket.socket

    @classmethod
    def dial(cls, target: ProbeTarget, credentials: Credentials, patience: float) -> "ProbedPeer":
        """Connect and prove each to the other.

        Raises:
            OSError: nobody is there.
            ProbeError: the peer is busy, or not of our job.
        """
        for _ in range(BUSY_TRIES - 1):
            try:
                return cls._dial_once(target, credentials, patience)
            except Busy:
                time.sleep(BUSY_SECONDS)
        return cls._dial_once(target, credentials, patience)

    @classmethod
    def _dial_once(cls, target: ProbeTarget, credentials: Credentials, patience: float) -> "ProbedPeer":
        with socket.create_connection((target.address, target.port), CONNECT_SECONDS) as connection:
            connection.settimeout(patience)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with credentials.dial(connection, target.peer) as secured:
                if secured.recv(1) != READY:
                    raise Busy("the peer has another probe under way")
                plain = in_the_clear(secured)
        plain.settimeout(patience)
        return cls(target, plain)

    def round_trip(self) -> float:
        """Seconds; the least of a few, since only delay is ever added to it."""
        return min(_timed(self._echo) for _ in range(ECHOES))

    def down(self, size: int, began: float) -> Trace:
        send_size(self.connection, DOWN, size)
        return burst.receive(self.connection, size, began)

    def up(self, size: int, _: float) -> Trace:
        """The peer's trace: its origin is when our first byte came, the best it has for `began`."""
        send_size(self.connection, UP, size)
        burst.send(self.connection, size)
        return read_trace(self.connection, size)

    def carried(self) -> CarriedBytes:
        """What the peer's interface has carried so far."""
        self.connection.sendall(COUNT)
        return read_carried(self.connection)

    def _echo(self) -> None:
        self.connection.sendall(ECHO)
        read_exactly(self.connection, 1)


Send = Callable[[ProbedPeer, int, float], Trace]


@dataclass
class _Sample:
    bits_per_second: float
    peer_load: float
    """What else went over the peers' links, in bits per second."""
    seconds: float
    small: bool
    """Too short, or within a link's bucket: a larger burst tells more."""
    settled: bool


class Prober:
    """Makes one probe at a time, never while the node's own probe server has one."""

    def __init__(self, credentials: Credentials, turn: threading.Lock, interface: Interface) -> None:
        self._credentials = credentials
        self._turn = turn
        self._interface = interface
        self._sizes: dict[tuple[str, ...], int] = {}

    def probe(self, order: ProbeOrder) -> LinkMeasure:
        """Measure both directions; the slower is reported, with the bytes of the one that took more.

        Raises:
            ProbeError, OSError: no measure; the text says why.
        """
        if not self._turn.acquire(timeout=1.0):
            raise ProbeError("another probe is under way at this node")
        try:
            return self._measure(order)
        finally:
            self._turn.release()

    def _measure(self, order: ProbeOrder) -> LinkMeasure:
        began = time.monotonic()
        middle, end = began + order.deadline_seconds / 2, began + order.deadline_seconds
        with ExitStack() as stack:
            peers = [
                ProbedPeer.dial(target, self._credentials, order.deadline_seconds)
                for target in (order, *order.helpers)
            ]
            for peer in peers:
                stack.enter_context(peer.connection)
            round_trip = peers[0].round_trip()
            down = _Series(self, order, peers, round_trip, "down", ProbedPeer.down, middle).run()
            up = _Series(self, order, peers, round_trip, "up", ProbedPeer.up, end).run()
        slower = min(down, up, key=lambda series: series.median)
        return LinkMeasure(
            peer=order.peer,
            bits_per_second=slower.median,
            peer_load_bits_per_second=slower.peer_load,
            round_trip_seconds=round_trip,
            bytes=max(down.bytes, up.bytes),
            at=time.time(),
        )


class _Series:
    """The bursts of one direction."""

    def __init__(
        self,
        prober: Prober,
        order: ProbeOrder,
        peers: Sequence[ProbedPeer],
        round_trip: float,
        direction: str,
        send: Send,
        until: float,
    ) -> None:
        self._interface, self._sizes = prober._interface, prober._sizes
        self._order, self._peers, self._send, self._until = order, peers, send, until
        self._enough = max(ENOUGH_SECONDS, ENOUGH_ROUND_TRIPS * round_trip)
        self._direction = direction
        self._key = (*(peer.target.peer for peer in peers), direction)
        self.bytes = 0
        self._samples: list[_Sample] = []

    @property
    def median(self) -> float:
        return statistics.median(sample.bits_per_second for sample in self._telling)

    @property
    def peer_load(self) -> float:
        return statistics.median(sample.peer_load for sample in self._telling)

    @property
    def _telling(self) -> list[_Sample]:
        return [sample for sample in self._samples if sample.settled] or self._samples

    def run(self) -> "_Series":
        """Grow the burst until it tells something, then take as many as were ordered.

        Raises:
            ProbeError: no burst told anything.
        """
        size = min(self._sizes.get(self._key, SMALLEST), self._order.max_bytes)
        for _ in range(MOST_BURSTS):
            sample = self._burst(self._split(size))
            if sample.small and size < self._order.max_bytes:
                size, self._samples = min(2 * size, self._order.max_bytes), []
            else:
                self._samples.append(sample)
            if self._done(sample.seconds):
                self._sizes[self._key] = self._next_size(size)
                return self
            time.sleep(_pause(sample.seconds))
        raise ProbeError(f"{MOST_BURSTS} bursts with {self._order.peer} gave no rate")

    def _done(self, seconds: float) -> bool:
        """Whether the samples will do; one does where time runs out, and so do unsettled ones after a few:
        an end that has no processor now will not have it for a larger burst, which costs link time."""
        late = time.monotonic() + _pause(seconds) + 2 * seconds > self._until
        wanted, settled = 1 if late else self._order.bursts, sum(s.settled for s in self._samples)
        return settled >= wanted or len(self._samples) >= (wanted if late else wanted + UNSETTLED)

    def _next_size(self, size: int) -> int:
        ample = min((sample.seconds for sample in self._samples), default=0.0) > 4 * self._enough
        return max(SMALLEST, size // 2) if ample else size

    def _split(self, size: int) -> list[int]:
        """What each peer sends: all of it, or in a joint probe what keeps each busy equally long."""
        if len(self._peers) == 1:
            return [size]
        rates = [peer.target.bits_per_second or 0.0 for peer in self._peers]
        largest = self._order.max_bytes
        scale = min(size / SMALLEST * JOINT_SECONDS / 8, largest / max(*rates, 1.0))
        return [max(SMALLEST // 4, int(rate * scale)) for rate in rates]

    def _burst(self, sizes: Sequence[int]) -> _Sample:
        peers_before, clock = self._peers_carried(), time.monotonic()
        before, started = self._own_carried(), time.monotonic()
        began = time.time()
        with ThreadPoolExecutor(len(sizes)) as pool:
            sent = [pool.submit(self._send, *each, began) for each in zip(self._peers, sizes, strict=True)]
            traces = [future.result() for future in sent]
        # Ours at once, and the peers' after it: what passes while they answer is not the burst's.
        carried, seconds = self._own_carried() - before, time.monotonic() - started
        peers_after, elapsed = self._peers_carried(), time.monotonic() - clock
        self.bytes += sum(sizes)
        longest = max(trace.seconds for trace in traces)
        theirs = (
            others_rate(later - earlier, size, elapsed)
            for earlier, later, size in zip(peers_before, peers_after, sizes, strict=True)
        )
        return _Sample(
            bits_per_second=link_rate(counted(traces).bits_per_second, sum(sizes), carried, seconds),
            peer_load=sum(theirs),
            seconds=longest,
            small=longest < self._enough or (len(traces) == 1 and traces[0].at_once),
            settled=all(trace.settled for trace in traces) or len(traces) > 1,
        )

    def _own_carried(self) -> int:
        """Bytes over our interface, in the direction of this series."""
        ours = self._interface.carried()
        return ours.received if self._direction == "down" else ours.sent

    def _peers_carried(self) -> list[int]:
        """The same of each peer's: what we receive, it sends."""
        theirs = [peer.carried() for peer in self._peers]
        return [carried.sent if self._direction == "down" else carried.received for carried in theirs]


def _pause(seconds: float) -> float:
    return max(PAUSE_SECONDS, seconds)


def _timed(action: Callable[[], None]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began
