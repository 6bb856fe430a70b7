"""Connections between supervisors: who is a pod of the job comes in, whoever else stands at the door."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgetrain.credentials import Credentials
from edgetrain.group.members import Pod
from edgetrain.supervisor import peers as module
from edgetrain.supervisor import streams
from edgetrain.supervisor.frames import MAX_BYTES
from edgetrain.supervisor.peers import MOST_STRANGERS, WELCOME, Peers
from edgetrain.supervisor.wire import Beat, Spoken
from tests.support.identities import credentials, kept_credentials, stranger

HOST = "127.0.0.1"
known = cache(kept_credentials)


@dataclass
class Supervisor:
    """One end, with who came in."""

    worker: str
    credentials: Credentials
    address: str = HOST
    came: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    heard: asyncio.Queue[Spoken] = field(default_factory=asyncio.Queue)
    port: int = 0
    peers: Peers = field(init=False)

    @property
    def pod(self) -> Pod:
        return Pod(self.worker, f"pod-{self.worker}")

    async def comer(self) -> str:
        """Who comes in next."""
        return await asyncio.wait_for(self.came.get(), 4.0)

    def want(self, *others: "Supervisor") -> None:
        self.peers.want({other.pod: (other.address, other.port) for other in others})


@asynccontextmanager
async def listening(
    worker: str, shown: Credentials | None = None, address: str = HOST
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(worker, shown or known(worker), address)
    supervisor.peers = Peers(
        supervisor.pod,
        supervisor.address,
        supervisor.credentials,
        on_open=lambda pod: supervisor.came.put_nowait(pod.worker),
        on_message=lambda pod, message: supervisor.heard.put_nowait(message),
        on_lost=lambda pod, why: None,
    )
    supervisor.port = supervisor.peers.listen(supervisor.address, 0)
    try:
        yield supervisor
    finally:
        supervisor.peers.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def is_closed(reader: asyncio.StreamReader, seconds: float = 5.0) -> bool:
    """Whether the other side ends the connection in time."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(1 << 16):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def _of_another_job(folder: Path) -> Credentials:
    return credentials(folder, "w0", job="another")


def _of_another_operator(folder: Path) -> Credentials:
    return credentials(folder, "w0", by=stranger())


def _of_another_worker(folder: Path) -> Credentials:
    return credentials(folder, "w9")


@pytest.mark.parametrize("made", [_of_another_job, _of_another_operator])
def test_a_pod_of_the_job_comes_in_and_nobody_else(
    made: Callable[[Path], Credentials], tmp_path: Path
) -> None:
    async def story() -> None:
        async with listening("w1") as one, listening("w2") as two, listening("w0", made(tmp_path)) as other:
            other.want(one, two)
            one.want(two, other)
            assert (await one.comer(), await two.comer()) == ("w2", "w1")
            assert (one.came.empty(), two.came.empty(), other.came.empty()) == (True, True, True)

    run(story())


def test_who_has_the_greater_address_dials_so_that_the_other_sees_from_where_it_comes() -> None:
    async def story() -> None:
        async with (
            listening("w1", address="127.0.0.9") as greater,
            listening("w2", address="127.0.0.10") as greatest,
            listening("w0", address="127.0.0.8") as least,
        ):
            for one in (least, greatest, greater):
                one.want(*(other for other in (least, greater, greatest) if other is not one))
            assert {await least.comer(), await least.comer()} == {"w1", "w2"}
            assert {await greater.comer(), await greater.comer()} == {"w0", "w2"}
            # Whoever dials on loopback comes from there, wherever it listens.
            assert [least.peers.comes_from(w) for w in ("w1", "w2", "w3")] == [HOST, HOST, ""]
            assert [greater.peers.comes_from(w) for w in ("w0", "w2")] == ["127.0.0.8", HOST]

    run(story())


def test_who_comes_is_who_its_certificate_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening("w1") as one, listening("w0", _of_another_worker(tmp_path)) as other:
            other.want(one)
            assert await one.comer() == "w9"
            assert await other.comer() == "w1"

    run(story())


@pytest.mark.attack(3)
def test_an_address_that_another_answers_is_not_taken_for_its_owners(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with listening("w1") as one, listening("w2", _of_another_worker(tmp_path)) as other:
            one.want(other)
            told = "w2's address is answered by w9"
            await asyncio.to_thread(wait_for, lambda: told in caplog.text, 4, lambda: caplog.text)
            assert one.came.empty() and other.came.empty()

    run(story())


def test_another_pod_of_a_worker_does_not_take_the_place_of_the_planned_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stolen = credentials(tmp_path, "w2", pod_uid="old")

    async def story() -> None:
        async with listening("w1") as one, listening("w2") as two, listening("w2", stolen) as old:
            old.want(one)
            assert await one.comer() == "w2"
            one.want(two)
            assert await one.comer() == "w2"  # the planned one takes the other's place
            told = "w2 is here with pod pod-w2, and old is not planned"
            await asyncio.to_thread(wait_for, lambda: told in caplog.text, 4, lambda: caplog.text)
            assert one.peers.live["w2"].pod == two.pod

    run(story())


def test_an_address_that_is_none_is_told_of_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with listening("w1") as one, listening("w2") as two:
            one.peers.want({two.pod: ("x" * 70, 1)})
            told = "no connection to w2"
            await asyncio.to_thread(wait_for, lambda: told in caplog.text, 6, lambda: caplog.text)
            one.want(two)
            assert await one.comer() == "w2"

    run(story())


@pytest.mark.attack(18)
def test_who_passes_our_own_bytes_back_is_not_taken_for_ourselves() -> None:
    async def story() -> None:
        async with listening("w1") as one:
            one.want(one)
            reader, writer = await asyncio.open_connection(HOST, one.port)
            writer.write(b"\x16\x03\x01\x00\x05hello")
            while said := await reader.read(1 << 16):
                writer.write(said)
            assert one.came.empty()
            writer.close()

    run(story())


@pytest.mark.attack(12)
def test_a_flood_of_callers_who_show_nothing_locks_nobody_out() -> None:
    async def story() -> None:
        async with listening("w2") as two, listening("w1") as one:
            callers = [await asyncio.open_connection(HOST, two.port) for _ in range(4 * MOST_STRANGERS)]
            one.want(two)
            assert await two.comer() == "w1"
            closed = await asyncio.gather(*(is_closed(reader, 1.0) for reader, _ in callers))
            assert closed.count(False) <= MOST_STRANGERS
            for _, writer in callers:
                writer.close()

    run(story())


@pytest.mark.parametrize("said", [b"", b"\x16\x03", b"\x16\x03\x01\x40\x00" + bytes(100)])
@pytest.mark.attack(12)
def test_who_says_nothing_more_is_let_go(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.3)

    async def story() -> None:
        async with listening("w1") as one:
            reader, writer = await asyncio.open_connection(HOST, one.port)
            writer.write(said)
            assert await is_closed(reader)
            writer.close()

    run(story())


@pytest.mark.parametrize("announced", [MAX_BYTES + 1, 2**32 - 1])
@pytest.mark.attack(12)
def test_messages_of_any_length_are_not_waited_for(announced: int) -> None:
    async def story() -> None:
        async with listening("w1") as one:
            connection = await streams.connected(HOST, one.port)
            stream = await streams.dialled(connection, known("w2").client)
            stream.writer.write(WELCOME + announced.to_bytes(4, "big") + bytes(100))
            assert await is_closed(stream.reader)
            stream.writer.close()

    run(story())


def test_what_was_to_be_said_on_a_connection_that_is_gone_is_not_said_on_the_next() -> None:
    """There the first words are a greeting: before any vote it shows the other what it may have forgotten."""

    async def story() -> None:
        async with listening("w1") as one, listening("w2") as two:
            one.want(two)
            two.want(one)
            assert (await one.comer(), await two.comer()) == ("w2", "w1")
            late = [one.peers.sending(two.pod, Beat(1)), one.peers.broadcasting(Beat(2))]
            one.peers.drop("w2", "is dropped by the test")
            assert (await one.comer(), await two.comer()) == ("w2", "w1")
            for say in late:
                say()
            one.peers.sending(two.pod, Beat(3))()
            assert await asyncio.wait_for(two.heard.get(), 4.0) == Beat(3)

    run(story())


@pytest.mark.parametrize("struck", ["w1", "w2"], ids=["who dials", "who is dialled"])
def test_a_word_that_a_defect_makes_nothing_of_costs_its_connection_and_no_later_one(
    struck: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with listening("w1") as one, listening("w2") as two:
            ends = {"w1": one, "w2": two}
            this, other = ends[struck], ends["w2" if struck == "w1" else "w1"]
            hears = this.peers.on_message

            def fails(pod: Pod, message: Spoken) -> None:
                this.peers.on_message = hears
                raise RuntimeError("nobody has foreseen this")

            this.peers.on_message = fails
            this.want(other)
            other.want(this)
            await asyncio.gather(this.comer(), other.comer())
            other.peers.send(this.pod, Beat(1, 1))
            await asyncio.gather(this.comer(), other.comer())
            other.peers.send(this.pod, Beat(1, 2))
            assert await asyncio.wait_for(this.heard.get(), 4.0) == Beat(1, 2)

    run(story())
    assert "is given up" in caplog.text and "nobody has foreseen this" in caplog.text
