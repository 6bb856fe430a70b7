"""Looks at node and interface a few times a second, in a thread of its own, and keeps the newest."""

import threading
import time
from dataclasses import dataclass

from edgetrain.profiler import node
from edgetrain.profiler.counters import CarriedBytes, Interface
from edgetrain.profiler.settings import Settings
from edgetrain.profiler.trainer import exchanging
from edgetrain.profiler.watch import Watch

LOOK_SECONDS = 0.2
SAMPLE_SECONDS = 5.0


@dataclass(frozen=True)
class Snapshot:
    """The node as last seen."""

    cpu_ratio: float
    memory: node.Memory
    temperature: float | None
    battery: float | None
    carried: CarriedBytes


class Sampler:
    def __init__(self, settings: Settings, interface: Interface, turn: threading.Lock) -> None:
        self._settings = settings
        self._interface = interface
        self._turn = turn
        self._watch = Watch(time.monotonic())
        self._lock = threading.Lock()
        self._ticks = node.ticks()
        self._snapshot = self._taken(interface.carried())

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def alarm(self) -> bool:
        return self._watch.alarm

    def probed(self) -> None:
        """A probe has told the link's rate."""
        with self._lock:
            self._watch.probed(time.monotonic())

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        sampled, looked, carried = float("-inf"), time.monotonic(), self._interface.carried()
        while not stop.wait(LOOK_SECONDS):
            now, before, earlier = time.monotonic(), carried, looked
            carried, looked = self._interface.carried(), now
            self._look(now, carried - before, now - earlier)
            if now - sampled >= SAMPLE_SECONDS:
                self._snapshot = self._taken(carried)
                sampled = now

    def _look(self, now: float, moved: CarriedBytes, seconds: float) -> None:
        # A probe's bytes are no exchange; it lays the watch to rest anyhow.
        if self._turn.locked() or seconds <= 0:
            return
        rate = max(moved.received, moved.sent) / seconds
        with self._lock:
            self._watch.saw(now, rate, exchanging(self._settings.run_dir, time.time()))

    def _taken(self, carried: CarriedBytes) -> Snapshot:
        before, self._ticks = self._ticks, node.ticks()
        return Snapshot(
            cpu_ratio=node.cpu_ratio(before, self._ticks),
            memory=node.memory(),
            temperature=node.temperature(),
            battery=node.battery(),
            carried=carried,
        )
