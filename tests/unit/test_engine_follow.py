"""A newcomer that follows a donor over a real connection, however slow it replays."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
import torch

from benchmarks.waiting import wait_for
from edgetrain.acceptor import Acceptor, Prove
from edgetrain.data import Block, SamplerState
from edgetrain.engine.formation.echo import unheard
from edgetrain.engine.monitor import Monitor
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer import donor as donor_module
from edgetrain.engine.transfer import follower as follower_module
from edgetrain.engine.transfer.catch_up import CatchUp
from edgetrain.engine.transfer.donor import Donor
from edgetrain.engine.transfer.replay_log import Entry, ReplayLog
from edgetrain.engine.transfer.wire import Wire
from edgetrain.link import CaughtUp, FetchFailed, FormationId, Message, Peer, Position
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.identities import kept_credentials

FORMATION = FormationId(FIRST_HISTORY, 1)


@dataclass
class Group:
    """A donor whose group commits a step every so often."""

    ledger: Ledger
    every: float
    log: ReplayLog = field(default_factory=ReplayLog)
    committed: int = 0
    snapshots: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    boundary: threading.Event = field(default_factory=threading.Event)
    """The donor's program is at its loop's boundary."""

    def position(self) -> Position:
        return Position(FIRST_HISTORY, FORMATION, self.committed)

    def snapshot(self) -> Snapshot:
        self.boundary.wait()
        self.snapshots += 1
        return Snapshot(self.position(), self.ledger, [], [], {})

    def train(self) -> None:
        while not self.stopped.wait(self.every):
            self.log.append(Entry(self.committed + 1, FORMATION, torch.zeros(4), self.ledger))
            self.committed += 1


PATIENCE = 20.0
"""Seconds, on a busy machine."""

known = cache(kept_credentials)


@contextmanager
def training(every: float, worker: str = "w") -> Iterator[tuple[Group, Donor]]:
    group = Group(Ledger(SamplerState(1, Block(0, 100_000), 0), 8, 1), every)
    group.boundary.set()
    donor = Donor(0, known(worker), group.log, group.snapshot, group.position)
    thread = threading.Thread(target=group.train, daemon=True)
    thread.start()
    try:
        yield group, donor
    finally:
        group.stopped.set()
        group.boundary.set()
        thread.join()
        donor.close()


@dataclass
class Newcomer:
    """Replays each step in so many seconds."""

    step_seconds: float
    changed: Monitor = field(default_factory=Monitor)
    committed: int = 0
    said: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catch_up = CatchUp(self.changed, self.said.append, known("newcomer"))

    def follow(self, port: int, have: Position | None = None) -> None:
        with self.changed:
            self.catch_up.follow(Peer("w", "127.0.0.1", port), have)

    def replay(self, group: Group, seconds: float) -> int:
        """Until it says something, that it has caught up; returns how many steps behind it is then."""
        end = time.monotonic() + seconds
        while not self.said:
            assert time.monotonic() < end, f"at step {self.committed}, the group at {group.committed}"
            self.go_on()
        assert isinstance(self.said[0], CaughtUp)
        return group.committed - self.committed

    def go_on(self) -> None:
        """One step, if one has come."""
        with self.changed:
            if snapshot := self.catch_up.take_snapshot():
                self.committed = snapshot.position.committed
            entry = None if self.catch_up.needs_snapshot else self.catch_up.take_step(self.committed)
            self.catch_up.tell(Position(FIRST_HISTORY, FORMATION, self.committed))
            if entry is None:
                self.changed.wait(0.01)
        if entry is not None:
            self.committed = entry.step
            time.sleep(self.step_seconds)  # its own slowness, not a wait

    def hears(self, kind: type[Message], seconds: float) -> Message:
        """What it says first of this kind."""

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.go_on()
            if said := next((message for message in self.said if isinstance(message, kind)), None):
                return said
        raise AssertionError(f"said {self.said} in {seconds:g} s")


def test_who_replays_slower_than_the_group_trains_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(follower_module, "FAR", 32)
    newcomer = Newcomer(step_seconds=0.05)
    with training(every=0.01) as (group, donor):
        while group.committed < follower_module.FAR // 2:
            group.log.after(group.committed, 1)
        newcomer.follow(donor.port, Position(FIRST_HISTORY, FORMATION, 0))
        assert newcomer.replay(group, PATIENCE) < follower_module.FAR // 2
    assert group.snapshots == 1


def test_who_replays_slower_than_the_group_trains_falls_behind_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower_module, "PATIENCE_SECONDS", 0.3)
    newcomer = Newcomer(step_seconds=0.03)
    with training(every=0.01) as (group, donor):
        newcomer.follow(donor.port)
        worst, end = 0, time.monotonic() + 20
        # By steps: two thirds of these are not replayed, however fast the machine is.
        while group.committed < 250:
            assert time.monotonic() < end
            newcomer.go_on()
            worst = max(worst, group.committed - newcomer.committed) if newcomer.committed else 0
    assert group.snapshots > 2
    assert worst < 100


def test_to_be_asked_again_does_not_begin_anew() -> None:
    newcomer = Newcomer(step_seconds=0.002)
    with training(every=0.02) as (group, donor):
        newcomer.follow(donor.port)
        newcomer.replay(group, PATIENCE)
        newcomer.said.clear()
        newcomer.follow(donor.port)
        newcomer.replay(group, PATIENCE)
    assert group.snapshots == 1


def test_a_donor_that_is_not_at_its_boundary_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(donor_module, "WAITING_SECONDS", 0.05)
    monkeypatch.setattr(follower_module, "SILENCE_SECONDS", 0.4)
    newcomer = Newcomer(step_seconds=0.002)
    with training(every=0.02) as (group, donor):
        group.boundary.clear()
        newcomer.follow(donor.port)
        wait_for(lambda: group.committed > 60, PATIENCE)
        newcomer.go_on()
        assert not newcomer.said
        group.boundary.set()
        newcomer.replay(group, PATIENCE)
    assert group.snapshots == 1


def test_a_donor_that_comes_to_no_boundary_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(donor_module, "WAITING_SECONDS", 0.05)
    monkeypatch.setattr(follower_module, "BOUNDARY_SECONDS", 0.3)
    newcomer = Newcomer(step_seconds=0.002)
    with training(every=0.02) as (group, donor):
        group.boundary.clear()
        newcomer.follow(donor.port)
        said = newcomer.hears(FetchFailed, 5)
    assert isinstance(said, FetchFailed)
    assert said.donor == "w"
    assert "no boundary" in said.error


def test_a_donor_from_whom_nothing_comes_is_told_of_once_and_forgiven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower_module, "SILENCE_SECONDS", 0.2)
    newcomer = Newcomer(step_seconds=0.002)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        newcomer.follow(silent.getsockname()[1])
        said = newcomer.hears(FetchFailed, 5)
        assert isinstance(said, FetchFailed) and said.donor == "w"
        assert f"cannot follow w at 127.0.0.1:{silent.getsockname()[1]}" in said.error
        assert "timed out" in said.error
    monkeypatch.undo()
    newcomer.said.clear()
    with training(every=0.02, worker="another") as (_, other):
        newcomer.follow(other.port)
        said = newcomer.hears(FetchFailed, 5)
        assert isinstance(said, FetchFailed) and "w's address is answered by another" in said.error
    with training(every=0.02) as (_, donor):
        newcomer.follow(donor.port)
        newcomer.hears(CaughtUp, 5)
    assert [type(message) for message in newcomer.said] == [FetchFailed, CaughtUp]


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ({"lineage": 1, "front": 9, "snapshot": "x"}, b"no state"),
        ({"lineage": 1, "front": 9, "failed": "no snapshot could be made"}, b"no state"),
        ({"lineage": 1, "front": 9, "step": 1, "formation": [1], "ledger": "{}", "size": 0}, b""),
        ({"lineage": 1, "front": 9, "step": 1, "formation": [1, 1], "ledger": "[]", "size": 0}, b""),
        ({"lineage": 1, "front": 9, "step": 1, "formation": [1, 1], "ledger": "{}", "size": -1}, b""),
        ({"lineage": 1, "front": "x"}, b""),
    ],
)
def test_a_donor_that_says_what_is_none_is_told_of_and_tried_again(
    header: dict[str, object], payload: bytes
) -> None:
    callers: list[socket.socket] = []

    def answer(connection: socket.socket, prove: Prove) -> None:
        callers.append(connection)
        with known("w").admit(connection) as secured:
            wire = Wire(secured)
            while True:
                wire.receive()
                wire.send(header, payload)

    rogue = Acceptor(answer, name="rogue", host="127.0.0.1")
    newcomer = Newcomer(step_seconds=0.002)
    newcomer.follow(rogue.port, None if payload == b"no state" else Position(FIRST_HISTORY, FORMATION, 0))
    said = newcomer.hears(FetchFailed, 5)
    assert isinstance(said, FetchFailed) and "cannot follow" in said.error
    wait_for(lambda: len(callers) > 1, 5, lambda: "it was not tried again")
    with newcomer.changed:
        newcomer.catch_up.stop()
    rogue.close()


def test_a_slow_way_is_no_reason_to_give_up_while_it_carries() -> None:
    payload = bytes(4 << 20)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        here, there = socket.create_connection(server.getsockname()), server.accept()[0]
    with here, there:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        here.settimeout(0.5)
        sender = threading.Thread(target=Wire(here).send, args=({"front": 1}, payload))
        began = time.monotonic()
        sender.start()
        got = 0
        while got < len(payload):
            got += len(there.recv(1 << 16))
            time.sleep(0.02)  # the way's slowness
        sender.join()
        assert time.monotonic() - began > 1


def test_an_echo_tells_who_is_reached() -> None:
    with training(every=0.02, worker="here") as (_, donor), socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        here = Peer("here", "127.0.0.1", donor.port)
        gone = Peer("gone", "127.0.0.1", closed.getsockname()[1])
        assert unheard([here, gone], known("w")) == ["gone"]
        assert unheard([replace(here, worker="another")], known("w")) == ["another"]
        assert unheard([here, here], known("w")) == []
