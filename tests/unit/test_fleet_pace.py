"""One worker's many requests, or large ones, keep no other waiting."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgetrain.fleet_client import FleetClient, Refused, Unavailable
from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.pace import JOB_BURST, JOB_RATE, POD_BURST, POD_RATE, Paces
from edgetrain_operator.fleet.reading import read_reports
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.fleet.store import InvalidReport, Sender
from edgetrain_operator.fleet.wire import Problem
from edgetrain_protocol.report import MOST_REQUEST_BYTES
from tests.support.fleet import JOB, report, serving, settings_for


@pytest.fixture(scope="module")
def service() -> Iterator[FleetService]:
    with serving() as running:
        yield running


# --- how large

SEVERAL = b'{"reports": [%s]}'
LINK = b'{"peer":"w-b","bitsPerSecond":1,"bytes":1,"at":1}'
VOTER = b'{"worker":"w-b","podUid":"u"}'


def with_many(place: str, item: bytes, most: int = MOST_REQUEST_BYTES) -> bytes:
    """A report of the largest size with as many of these as fit, in the field that is named."""
    document: dict[str, Any] = report("w-a").to_wire() | {"measured": {}}
    holder = document
    *path, name = place.split(".")
    for step in path:
        holder = holder[step]
    holder[name] = "HERE"
    text = json.dumps(document).encode()
    count = min((MOST_REQUEST_BYTES - len(text)) // (len(item) + 1), most)
    return text.replace(b'"HERE"', b"[" + b",".join([item] * count) + b"]")


WORST = {
    "links": with_many("measured.links", LINK),
    "links that are none": with_many("measured.links", b"{}"),
    "names that are none": with_many("training.lost", b"0"),
    "lists in lists in a field unknown here": with_many("unknown", b"[" * 150 + b"]" * 150),
    "voters": with_many(
        "training.counted", b'{"number":1,"aggregator":"b","voters":[%s]}' % b",".join([VOTER] * 1000), 16
    ),
    "reports that are none": SEVERAL % b",".join([b"{}"] * 170_000),
    "reports with links": SEVERAL % b",".join([with_many("measured.links", LINK, 30)] * 180),
}


SLOWER = 3.0
"""So much slower than usual may the machine be: where nothing is bounded it takes seconds."""


@pytest.mark.parametrize("name", WORST)
@pytest.mark.attack(9)
def test_the_worst_request_keeps_the_others_waiting_for_no_longer_than_a_tenth_of_a_second(name: str) -> None:
    body, fleet = WORST[name], Fleet(renewed(None, datetime.now(UTC)))
    assert MOST_REQUEST_BYTES / 2 < len(body) <= MOST_REQUEST_BYTES
    best = min(seconds_to_handle(fleet, body) for _ in range(3))
    assert best < 0.1 * SLOWER


def seconds_to_handle(fleet: Fleet, body: bytes) -> float:
    began = time.thread_time()
    with suppress(Problem, InvalidReport):
        fleet.take(JOB, read_reports(body), Sender("w-a", "pod-w-a"))
    return time.thread_time() - began


# --- how many


LARGE = "x" * (MOST_REQUEST_BYTES - 1000)


@pytest.mark.attack(9)
def test_who_asks_for_too_much_is_told_when_to_come_back_and_the_others_are_served(
    service: FleetService, tmp_path: Path
) -> None:
    greedy, honest = (settings_for(service, tmp_path / name, worker=f"w-{name}") for name in ("greedy", "b"))
    with FleetClient(greedy) as client, FleetClient(honest) as other:
        with pytest.raises(Unavailable, match="too many requests") as turned_away:
            for sequence in range(100):
                long = report("w-greedy", sequence).model_copy(update={"node": LARGE})
                with suppress(Refused):
                    client.send([long])
        other.send([report("w-b", sequence=0)])
        assert sequence < 20
        assert 0 < turned_away.value.retry_after < 5
        time.sleep(turned_away.value.retry_after)
        client.send([report("w-greedy", sequence=101)])
        assert service.fleet.reports(JOB)["w-greedy"].head.sequence == 101


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def let_in(paces: Paces, count: int, pod: Callable[[int], str] = lambda _: "pod", workers: int = 1) -> int:
    return sum(paces.wait("job", pod(n), workers) == 0 for n in range(count))


def test_a_pod_has_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    paces = Paces(clock)
    assert let_in(paces, 1000) == pytest.approx(POD_BURST, abs=1)
    assert paces.wait("job", "pod", 1) == pytest.approx(1 / POD_RATE, rel=0.2)
    assert paces.wait("job", "another", 1) == 0
    clock.now += 10
    assert let_in(paces, 1000) == pytest.approx(POD_BURST, abs=1)
    clock.now += 1
    assert let_in(paces, 1000) == pytest.approx(POD_RATE, abs=1)


@pytest.mark.attack(8)
def test_bytes_count_as_requests_do() -> None:
    paces = Paces(Clock())
    let = 0
    while paces.wait("job", "pod", 1) == 0:
        paces.charge("job", "pod", MOST_REQUEST_BYTES)
        let += 1
    assert let < 8


@pytest.mark.attack(8)
def test_whoever_is_many_pods_is_one_job() -> None:
    clock = Clock()
    paces = Paces(clock)
    assert let_in(paces, 5000, pod=lambda n: f"pod-{n}") == pytest.approx(JOB_BURST, abs=1)
    assert paces.wait("another", "pod", 1) == 0
    clock.now += 2
    assert let_in(paces, 5000, pod=lambda n: f"other-{n}") == pytest.approx(2 * JOB_RATE, rel=0.1)


def test_what_has_been_paid_for_is_forgotten() -> None:
    clock = Clock()
    paces = Paces(clock)
    for n in range(100_000):
        clock.now += 0.02
        paces.wait("job", f"pod-{n}", 1)
    assert len(paces._paid_at) <= 20_000
