"""Bytes of real connections, by the site of who is at the other end."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from edgetrain.engine.formation.traffic import Traffic
from edgetrain.engine.meter import Meter
from edgetrain.link import Decision, Form, FormationId, Peer, Progress
from tests.support.histories import FIRST as FIRST_HISTORY

MANY = 100_000


def form(*sites: str) -> Form:
    """Of members on addresses of the loopback network, of which the first is this one."""
    members = [Peer(f"w-{n}", f"127.0.0.{n + 1}", 7074, site) for n, site in enumerate(sites)]
    return Form(FormationId(FIRST_HISTORY, 1), members, 0, "w-0", Decision.NONE, 0, [])


@pytest.fixture
def clock() -> Iterator[list[float]]:
    yield [0.0]


def connected(address: str) -> tuple[socket.socket, socket.socket]:
    with socket.create_server((address, 0)) as server:
        here = socket.create_connection(server.getsockname())
        return here, server.accept()[0]


def exchange(sender: socket.socket, receiver: socket.socket, count: int = MANY) -> None:
    sender.sendall(bytes(count))
    left = count
    while left:
        left -= len(receiver.recv(left))


def test_sites_tell_near_from_far(clock: list[float]) -> None:
    traffic = Traffic(lambda: clock[0])
    (near, far_end), (far, farther_end) = connected("127.0.0.2"), connected("127.0.0.3")
    with closing(near), closing(far), closing(far_end), closing(farther_end):
        traffic.follow([near, far], form("A", "A", "B"))
        exchange(near, far_end)
        exchange(farther_end, far, 2 * MANY)
        clock[0] += 2.0
        carried = traffic.carried()
    assert carried["site"] == [pytest.approx(MANY, abs=10), 0]
    assert carried["wan"] == [pytest.approx(0, abs=10), 2 * MANY]


def test_a_new_formation_adds_to_what_the_last_one_carried(clock: list[float]) -> None:
    traffic = Traffic(lambda: clock[0])
    for round_number in (1, 2):
        near, end = connected("127.0.0.2")
        with closing(near), closing(end):
            traffic.follow([near], form("", ""))
            exchange(near, end)
            clock[0] += 2.0
            assert traffic.carried()["site"][0] == pytest.approx(round_number * MANY, abs=20)


def test_what_was_committed_is_totalled_and_replays_are_not() -> None:
    now = [0.0]
    meter = Meter(lambda: None, lambda: now[0])
    for samples in (64, 0, 64):
        meter.enter("forward")
        now[0] += 0.5
        meter.committed(lambda: Progress(None, "apply", 1), samples, {"site": [1, 2]})
    totals = meter.progress.totals
    assert (totals.steps, totals.samples, totals.carried) == (2, 128, {"site": [1, 2]})
    assert totals.phase_seconds["forward"] == pytest.approx(1.5)


def test_speed_does_not_fall_with_the_small_batch_that_ends_an_epoch() -> None:
    now = [0.0]
    meter = Meter(lambda: None, lambda: now[0])
    for samples in (128, 128, 128, 0, 16):
        now[0] += 0.5
        meter.committed(lambda: Progress(None, "apply", 1), samples)
    assert 0.85 * 256 < meter.progress.samples_per_second < 256
    assert meter.progress.steps_per_second == pytest.approx(2.0)
