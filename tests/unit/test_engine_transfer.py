"""A newcomer's state over real connections: broken, damaged, slow, given up; and what a donor holds of it."""

import gc
import logging
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import pytest
import torch

from benchmarks.waiting import wait_for
from edgetrain.acceptor import Acceptor, Prove
from edgetrain.data import SamplerState
from edgetrain.engine.monitor import Monitor
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot, capture
from edgetrain.engine.transfer import captures as captures_module
from edgetrain.engine.transfer import follower as follower_module
from edgetrain.engine.transfer.captures import Captures
from edgetrain.engine.transfer.donor import Donor
from edgetrain.engine.transfer.follower import Follower
from edgetrain.engine.transfer.pieces import PIECE_BYTES, Arriving, send_tensors
from edgetrain.engine.transfer.replay_log import ReplayLog
from edgetrain.engine.transfer.skeleton import take_apart
from edgetrain.engine.transfer.wire import Wire, WireError
from edgetrain.link import Peer, Position
from tests.support.forwarder import forwarding
from tests.support.identities import kept_credentials

MIB = 1 << 20
known = cache(kept_credentials)


@dataclass
class Holder:
    """Something with state."""

    state: Any

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


def snapshot(*objects: Any, step: int = 7) -> Snapshot:
    ledger = Ledger(SamplerState.fresh(1000, 7), batch=8, epochs=1)
    return capture(Position(committed=step), ledger, ["a line"], [Holder(state) for state in objects], {})


def mebibytes(count: int) -> dict[str, torch.Tensor]:
    return {str(n): torch.randn(MIB // 8) for n in range(2 * count)}


@dataclass
class Giving:
    """A donor that stands still."""

    donor: Donor
    held: Snapshot
    captured: int = 0


@contextmanager
def giving(*objects: Any) -> Iterator[Giving]:
    held = snapshot(*objects)

    def take() -> Snapshot:
        made.captured += 1
        return held

    made = Giving(Donor(0, known("w"), ReplayLog(), take, lambda: held.position), held)
    try:
        yield made
    finally:
        made.donor.close()


@dataclass
class Newcomer:
    port: int
    wake: Monitor = field(default_factory=Monitor)

    def __post_init__(self) -> None:
        peer = Peer("w", "127.0.0.1", self.port)
        self.follower = Follower(peer, known("newcomer"), have=None, wake=self.wake)

    def takes(self, seconds: float = 60) -> Snapshot:
        with self.wake:
            come = self.wake.wait_for(self.follower.take_snapshot, seconds)
        assert come, self.follower.error or "nothing came"
        return come

    def hears(self, seconds: float = 60) -> str:
        """Why it cannot go on."""
        with self.wake:
            return self.wake.wait_for(lambda: self.follower.error, seconds)


@contextmanager
def coming(port: int) -> Iterator[Newcomer]:
    newcomer = Newcomer(port)
    try:
        yield newcomer
    finally:
        with newcomer.wake:
            newcomer.follower.close()


def same(one: Any, other: Any) -> bool:
    """In values, types and order in memory."""
    if isinstance(one, torch.Tensor):
        alike = (one.dtype, one.shape, one.stride()) == (other.dtype, other.shape, other.stride())
        return alike and torch.equal(one, other)
    if isinstance(one, dict):
        return (
            type(one) is type(other) and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
        )
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def test_all_that_a_state_may_hold_arrives_as_it_was() -> None:
    kinds = [
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.int64,
        torch.uint8,
        torch.bool,
        torch.complex64,
    ]
    tensors = {kind: torch.randint(0, 2, (3, 5)).to(kind) for kind in kinds}
    whole = {
        0: list(tensors.values()),
        ("a", 1): {"step": torch.tensor(3.0), "none": torch.empty(0, 4), "inf": float("inf")},
        "rows": torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last),
        "seen": Counter({3: 2}),
        "plain": (None, True, b"\x00\xff", "text", 10**30, -1.5),
        "large": torch.randn(3 * MIB // 4 + 1),
    }
    with giving(whole, mebibytes(2)) as given, coming(given.donor.port) as newcomer:
        come = newcomer.takes()
    assert (come.position, come.ledger, come.layout) == (given.held.position, given.held.ledger, ["a line"])
    assert same(come.objects, given.held.objects) and same(come.random, given.held.random)


def test_what_broke_in_the_middle_goes_on_from_the_piece_that_was_not_whole() -> None:
    with giving(mebibytes(8)) as given, forwarding("127.0.0.1", given.donor.port) as way:
        way.break_at = 4 * MIB + MIB // 2
        with coming(way.port) as newcomer:
            come = newcomer.takes()
            assert way.break_at is None and newcomer.follower.error == ""
        assert same(come.objects, given.held.objects)
        assert given.captured == 1
        assert way.carried < 8 * MIB + PIECE_BYTES + MIB // 4, "no more than one piece went twice"


def test_and_again_and_again() -> None:
    with (
        giving(mebibytes(8)) as given,
        forwarding("127.0.0.1", given.donor.port) as way,
        ExitStack() as stack,
    ):
        way.break_at = 0
        newcomer = stack.enter_context(coming(way.port))
        for number in range(1, 6):
            wait_for(lambda: way.break_at is None, 30)
            way.break_at = way.carried + MIB + MIB // 8 * number
        come = newcomer.takes()
        assert same(come.objects, given.held.objects) and given.captured == 1


def test_a_donor_that_no_longer_has_it_is_asked_for_another_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(captures_module, "KEPT_SECONDS", 0.05)
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 1.0)
    with giving(mebibytes(4)) as given, forwarding("127.0.0.1", given.donor.port) as way:
        way.break_at = 2 * MIB
        with caplog.at_level(logging.WARNING), coming(way.port) as newcomer:
            come = newcomer.takes()
        assert same(come.objects, given.held.objects)
        assert given.captured == 2
        assert "which it no longer has: another one is fetched" in caplog.text


def test_a_donor_that_is_gone_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    with giving(mebibytes(4)) as given, forwarding("127.0.0.1", given.donor.port) as way:
        way.break_at = 2 * MIB
        with coming(way.port) as newcomer:
            wait_for(lambda: way.break_at is None, 30)
            way.close()
            assert "cannot follow w" in newcomer.hears()


def test_a_way_that_freezes_in_the_middle_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "SILENCE_SECONDS", 0.5)
    with giving(mebibytes(8)) as given, forwarding("127.0.0.1", given.donor.port) as way:
        way.bytes_per_second = 8 * MIB
        with coming(way.port) as newcomer:
            wait_for(lambda: way.carried > 2 * MIB, 30)
            way.freeze()
            assert "timed out" in newcomer.hears()
            way.bytes_per_second = None
            way.thaw()
            assert same(newcomer.takes().objects, given.held.objects)
        assert given.captured == 1


def test_a_slow_way_is_no_failure_while_bytes_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "SILENCE_SECONDS", 1.0)
    with giving(mebibytes(1)) as given, forwarding("127.0.0.1", given.donor.port) as way:
        way.bytes_per_second = 250_000
        began = time.monotonic()
        with coming(way.port) as newcomer:
            assert same(newcomer.takes().objects, given.held.objects)
        assert time.monotonic() - began > 3
        assert given.captured == 1


class Damaging:
    """A connection on which one byte of a piece is another."""

    def __init__(self, inner: socket.socket, piece: int) -> None:
        self._inner, self._left = inner, piece * (PIECE_BYTES + 4) + 100

    def setsockopt(self, *words: int) -> None:
        self._inner.setsockopt(*words)

    def recv_into(self, room: memoryview) -> int:
        return self._inner.recv_into(room)

    def send(self, data: memoryview) -> int:
        if 0 <= self._left < len(data):
            spoilt = bytearray(data)
            spoilt[self._left] ^= 1
            data = memoryview(spoilt)
        sent = self._inner.send(data)
        self._left -= sent
        return sent


def test_a_damaged_piece_is_refused_and_asked_for_again() -> None:
    held, asked = snapshot(mebibytes(4)), list[dict[str, Any]]()
    skeleton, tensors = take_apart(held)

    def serve(connection: socket.socket, prove: Prove) -> None:
        with known("w").admit(connection) as secured:
            wire = Wire(secured)
            while True:
                request, payload = wire.receive()
                asked.append(request)
                if request["want"] == "echo":
                    wire.send({"front": 7}, bytes(payload))
                elif request["want"] == "snapshot":
                    wire.send({"snapshot": "s", "front": 7}, skeleton)
                    send_tensors(Wire(Damaging(secured, piece=2)), tensors)  # type: ignore[arg-type]
                elif request["want"] == "rest":
                    wire.send({"front": 7})
                    send_tensors(wire, tensors, request["piece"])
                else:
                    return

    acceptor = Acceptor(serve, name="donor", host="127.0.0.1")
    with coming(acceptor.port) as newcomer:
        assert same(newcomer.takes().objects, held.objects)
    acceptor.close()
    assert [request["piece"] for request in asked if request["want"] == "rest"] == [2]


def test_damage_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here, there = socket.create_connection(server.getsockname()), server.accept()[0]
    with here, there:
        there.settimeout(30)
        arriving = Arriving([torch.empty(PIECE_BYTES // 2, device="meta")])
        send = partial(send_tensors, Wire(Damaging(here, 1)), [torch.randn(PIECE_BYTES // 2)])  # type: ignore[arg-type]
        sender = threading.Thread(target=send)
        sender.start()
        arriving.receive(Wire(there))
        with pytest.raises(WireError, match="piece 1 was damaged"):
            arriving.receive(Wire(there))
        sender.join()
        assert arriving.missing == 1


def receives_nothing(port: int, stack: ExitStack) -> None:
    """A newcomer that asks for the state, and reads none of it."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    secured = stack.enter_context(known("newcomer").dial(connection, "w"))
    Wire(secured).send({"want": "snapshot"})


def test_who_takes_nothing_holds_up_nobody() -> None:
    with giving(mebibytes(8)) as given, ExitStack() as stack:
        for _ in range(3):
            receives_nothing(given.donor.port, stack)
        with coming(given.donor.port) as newcomer:
            assert same(newcomer.takes().objects, given.held.objects)
        assert given.captured == 1, "all ask for the same"


# --- what a donor holds


def captures(
    position: Callable[[], Position] = lambda: Position(committed=7),
) -> tuple[Captures, list["weakref.ref[torch.Tensor]"]]:
    """And the tensors of what was captured, as long as there are some."""
    made: list[weakref.ref[torch.Tensor]] = []

    def take() -> Snapshot:
        held = snapshot({"w": torch.randn(4)}, step=position().committed)
        made.append(weakref.ref(held.objects[0]["w"]))
        return held

    return Captures(take, position), made


def living(made: Sequence["weakref.ref[torch.Tensor]"]) -> int:
    gc.collect()
    return sum(one() is not None for one in made)


def test_what_all_have_whole_is_let_go_at_once() -> None:
    held, made = captures()
    with held.lend(held.ask().result()), held.lend(held.ask().result()):
        assert living(made) == len(made) == 1, "both have the same"
    # The thread that made it may be at its last line still.
    wait_for(lambda: not living(made), 5)


def test_what_somebody_may_come_again_for_is_kept_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures_module, "KEPT_SECONDS", 3.0)
    held, made = captures()
    name = held.ask().result().name
    with pytest.raises(WireError), held.lend(held.find(name)):
        raise WireError("it broke")
    with held.lend(held.find(name)), pytest.raises(WireError), held.lend(held.find(name)):
        raise WireError("it broke for one of two")
    assert living(made) == 1
    wait_for(lambda: not living(made), 30)
    with pytest.raises(LookupError):
        held.find(name)


def test_what_nobody_has_taken_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures_module, "KEPT_SECONDS", 0.1)
    held, made = captures()
    held.ask().result()
    wait_for(lambda: made and not living(made), 30)


def test_after_another_step_another_one_is_made_and_only_the_last_is_kept() -> None:
    step = 7
    held, made = captures(lambda: Position(committed=step))
    first = held.ask().result()
    step = 8
    second = held.ask().result()
    assert (first.position.committed, second.position.committed) == (7, 8)
    with pytest.raises(LookupError):
        held.find(first.name)
    del first
    # The thread that made the first may be at its last line still.
    wait_for(lambda: living(made) == 1, 5)
