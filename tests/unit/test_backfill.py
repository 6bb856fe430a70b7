"""Late reports, written by remote write to an endpoint over HTTP: with their times, once, within bounds."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from edgetrain.fleet_client import FleetClient
from edgetrain_operator.runtime import backfill as module
from edgetrain_operator.runtime.backfill import EVERY_SECONDS, Backfill
from edgetrain_operator.runtime.metrics import Metrics
from edgetrain_operator.runtime.remote_write import (
    Refused,
    RemoteWriter,
    Series,
    Unavailable,
    snappy,
    write_request,
)
from edgetrain_protocol.report import NodePart, Totals, TrainerState, TrainingPart
from tests.support.fleet import JOB, report, serving, settings_for
from tests.support.remote_store import Store, storing, unsnappy

LONG_AGO = time.time() - 3600.0


def step(number: int) -> TrainingPart:
    return TrainingPart(
        state=TrainerState.TRAINING, incarnation="i1", loss=1 / 3, totals=Totals(steps=number)
    )


class Filled:
    """A backfill to a store, and its counts."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.known = {JOB: ("farm", "digits")}
        self.backfill = Backfill(
            RemoteWriter(store.url), self.known.get, metrics.backfill_reports, metrics.backfill_waiting
        )

    def count(self, result: str) -> float:
        return (
            self.registry.get_sample_value("edgetrain_operator_backfill_reports_total", {"result": result})
            or 0.0
        )

    async def until(self, true: Callable[[], object]) -> None:
        running = asyncio.create_task(self.backfill.run())
        try:
            for _ in range(1000):
                if true():
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("not within ten seconds")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def test_late_reports_are_written_under_their_own_times() -> None:
    async def run(store: Store) -> None:
        filled = Filled(store)
        for number in range(3):
            at = LONG_AGO + number * EVERY_SECONDS
            filled.backfill.add(JOB, report(sequence=number, at=at, training=step(number)))
        await filled.until(lambda: filled.count("written") == 3)

    with storing() as store:
        asyncio.run(run(store))
    times = [round((LONG_AGO + number * EVERY_SECONDS) * 1000) for number in range(3)]
    assert store.named("edgetrain_steps_total") == {"node-w-a": list(zip(times, (0, 1, 2), strict=True))}
    labels = next(dict(labels) for labels in store.samples if ("__name__", "edgetrain_loss") in labels)
    assert labels == {
        "__name__": "edgetrain_loss", "job_namespace": "farm", "job_name": "digits", "node": "node-w-a"
    }  # fmt: skip
    assert store.headers[0]["Content-Encoding"] == "snappy"


def test_of_reports_close_together_one_is_written() -> None:
    async def run(store: Store) -> None:
        filled = Filled(store)
        for second in range(60):
            filled.backfill.add(JOB, report(sequence=second, at=LONG_AGO + second, training=step(second)))
            filled.backfill.add(JOB, report(sequence=second, at=LONG_AGO + second, measured=NodePart()))
        await filled.until(lambda: filled.count("written") == 8)

    with storing() as store:
        asyncio.run(run(store))
    assert len(store.named("edgetrain_steps_total")["node-w-a"]) == 4


def test_what_nobody_takes_waits_and_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)

    async def run(store: Store) -> None:
        filled = Filled(store)
        filled.backfill.add(JOB, report(at=LONG_AGO, training=step(1)))
        await filled.until(lambda: filled.count("written") == 1)

    with storing() as store:
        store.statuses = [503, 429]
        asyncio.run(run(store))
    assert store.requests == 3
    assert len(store.named("edgetrain_steps_total")["node-w-a"]) == 1


def test_what_is_refused_does_not_hold_up_the_rest() -> None:
    async def run(store: Store) -> None:
        filled = Filled(store)
        filled.backfill.add(JOB, report(at=LONG_AGO, training=step(1)))
        await filled.until(lambda: filled.count("refused") == 1)
        filled.backfill.add(JOB, report(at=LONG_AGO + 60, training=step(2)))
        await filled.until(lambda: filled.count("written") == 1)

    with storing() as store:
        store.statuses = [400]
        asyncio.run(run(store))


def test_a_job_without_a_name_yet_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)

    async def run(store: Store) -> None:
        filled = Filled(store)
        filled.known.clear()
        filled.backfill.add(JOB, report(at=LONG_AGO, training=step(1)))
        asyncio.get_running_loop().call_later(0.1, filled.known.update, {JOB: ("farm", "digits")})
        await filled.until(lambda: filled.count("written") == 1)

    with storing() as store:
        asyncio.run(run(store))


def test_memory_is_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)

    async def run(store: Store) -> None:
        filled = Filled(store)
        for number in range(5):
            filled.backfill.add(JOB, report(at=LONG_AGO + number * 60, training=step(number)))
        assert filled.registry.get_sample_value("edgetrain_operator_backfill_waiting") == 2
        await filled.until(lambda: filled.count("written") == 2)
        assert filled.count("dropped") == 3

    with storing() as store:
        asyncio.run(run(store))
    assert [value for _, value in store.named("edgetrain_steps_total")["node-w-a"]] == [3, 4]


def test_a_workers_backlog_comes_through_and_what_is_fresh_does_not(tmp_path: Path) -> None:
    """By way of the fleet API, as it does in the operator."""

    async def run(store: Store) -> None:
        filled = Filled(store)
        with serving() as service, FleetClient(settings_for(service, tmp_path)) as client:
            filled.backfill.listen(service.fleet)
            late, fresh = report(at=LONG_AGO, training=step(7)), report(sequence=1, training=step(8))
            await asyncio.to_thread(client.send, [late, fresh])
            await filled.until(lambda: filled.count("written") == 1)

    with storing() as store:
        asyncio.run(run(store))
    assert store.named("edgetrain_steps_total") == {"node-w-a": [(round(LONG_AGO * 1000), 7.0)]}


def test_a_token_is_read_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"

    async def run(store: Store) -> None:
        writer = RemoteWriter(store.url, token)
        for text in ("one\n", "two\n"):
            token.write_text(text)
            await writer.write([])
        await writer.close()

    with storing() as store:
        asyncio.run(run(store))
    assert [headers["Authorization"] for headers in store.headers] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(("status", "error"), [(500, Unavailable), (404, Unavailable), (400, Refused)])
def test_what_an_answer_means(status: int, error: type[Exception]) -> None:
    async def run(store: Store) -> None:
        writer = RemoteWriter(store.url)
        try:
            await writer.write([])
        finally:
            await writer.close()

    with storing() as store, pytest.raises(error, match=str(status)):
        store.statuses = [status]
        asyncio.run(run(store))


def test_nobody_there_is_unavailable() -> None:
    async def run() -> None:
        writer = RemoteWriter("http://127.0.0.1:9/write")
        try:
            await writer.write([])
        finally:
            await writer.close()

    with pytest.raises(Unavailable):
        asyncio.run(run())


@pytest.mark.parametrize("size", [0, 1, 59, 60, 61, 65_535, 65_536, 65_537, 200_000])
def test_a_snappy_block_holds_what_went_in(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    assert unsnappy(snappy(data)) == data


def test_the_message_is_that_of_prometheus() -> None:
    """Field by field: a series of one label, with a sample before 1970 and one after."""
    message = write_request([Series({"__name__": "up"}, [(-1, 1.0), (300, 0.0)])])
    assert message.hex(" ") == (
        "0a 34 "
        "0a 0e 0a 08 5f 5f 6e 61 6d 65 5f 5f 12 02 75 70 "
        "12 14 09 00 00 00 00 00 00 f0 3f 10 ff ff ff ff ff ff ff ff ff 01 "
        "12 0c 09 00 00 00 00 00 00 00 00 10 ac 02"
    )
