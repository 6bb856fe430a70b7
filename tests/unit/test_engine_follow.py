"""A newcomer that follows a donor over a real connection, however slow it replays."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import torch

from edgetrain.data import Block, Record
from edgetrain.engine import follower as follower_module
from edgetrain.engine.catchup import CatchUp
from edgetrain.engine.donor import Donor
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.replay import Entry, ReplayLog
from edgetrain.engine.state import Snapshot
from edgetrain.local import CaughtUp, FormationId, Message, Position

FORMATION = FormationId(1, 1)
TOKEN = "t"


@dataclass
class Group:
    """A donor whose group commits a step every so often."""

    ledger: Ledger
    every: float
    log: ReplayLog = field(default_factory=ReplayLog)
    committed: int = 0
    snapshots: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def position(self) -> Position:
        return Position(1, FORMATION, self.committed)

    def snapshot(self) -> Snapshot:
        self.snapshots += 1
        return Snapshot(self.position(), self.ledger, [], [], {})

    def train(self) -> None:
        while not self.stopped.wait(self.every):
            self.log.append(Entry(self.committed + 1, FORMATION, torch.zeros(4), self.ledger))
            self.committed += 1


@contextmanager
def training(every: float) -> Iterator[tuple[Group, Donor]]:
    group = Group(Ledger(Record(1, Block(0, 100_000), 0), 8, 1), every)
    donor = Donor(0, group.log, group.snapshot, group.position)
    donor.set_token(TOKEN)
    thread = threading.Thread(target=group.train, daemon=True)
    thread.start()
    try:
        yield group, donor
    finally:
        group.stopped.set()
        thread.join()
        donor.close()


@dataclass
class Newcomer:
    """Replays each step in so many seconds."""

    step_seconds: float
    changed: threading.Condition = field(default_factory=threading.Condition)
    committed: int = 0
    said: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catch_up = CatchUp(self.changed, self.said.append)

    def replay(self, group: Group, seconds: float) -> int:
        """Until it says that it has caught up; returns how many steps behind it is then."""
        end = time.monotonic() + seconds
        while not self.said:
            assert time.monotonic() < end, f"at step {self.committed}, the group at {group.committed}"
            with self.changed:
                if snapshot := self.catch_up.take_snapshot():
                    self.committed = snapshot.position.committed
                entry = None if self.catch_up.needs_snapshot else self.catch_up.take_step(self.committed)
                self.catch_up.tell(Position(1, FORMATION, self.committed))
                if entry is None:
                    self.changed.wait(0.01)
            if entry is not None:
                self.committed = entry.step
                time.sleep(self.step_seconds)  # its own slowness, not a wait
        assert isinstance(self.said[0], CaughtUp)
        return group.committed - self.committed


def test_who_replays_slower_than_the_group_trains_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "PATIENCE_SECONDS", 0.5)
    newcomer = Newcomer(step_seconds=0.05)
    with training(every=0.01) as (group, donor):
        while group.committed < follower_module.FAR // 2:
            group.log.after(group.committed, 1)
        newcomer.catch_up.follow("127.0.0.1", donor.port, TOKEN, Position(1, FORMATION, 0))
        assert newcomer.replay(group, 5) < follower_module.FAR // 2
    assert group.snapshots == 1


def test_to_be_asked_again_does_not_begin_anew() -> None:
    newcomer = Newcomer(step_seconds=0.002)
    with training(every=0.02) as (group, donor):
        newcomer.catch_up.follow("127.0.0.1", donor.port, TOKEN, None)
        newcomer.replay(group, 5)
        newcomer.said.clear()
        newcomer.catch_up.follow("127.0.0.1", donor.port, TOKEN, None)
        newcomer.replay(group, 5)
    assert group.snapshots == 1
