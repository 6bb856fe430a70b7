"""Connections between supervisors: who proves the token comes in, whoever else stands at the door."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from edgetrain.group.members import Pod
from edgetrain.supervisor import peers as module
from edgetrain.supervisor.frames import MAX_BYTES, PROOF_BYTES
from edgetrain.supervisor.peers import MOST_STRANGERS, Peers

TOKEN = "1.token-of-this-test"
HOST = "127.0.0.1"


@dataclass
class Supervisor:
    """One end, with who came in."""

    worker: str
    token: str = TOKEN
    came: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    port: int = 0
    peers: Peers = field(init=False)

    @property
    def pod(self) -> Pod:
        return Pod(self.worker, f"pod-{self.worker}")

    async def comer(self) -> str:
        """Who comes in next."""
        return await asyncio.wait_for(self.came.get(), 4.0)

    def want(self, *others: "Supervisor") -> None:
        self.peers.want({other.pod: (HOST, other.port) for other in others})


@asynccontextmanager
async def listening(supervisor: Supervisor) -> AsyncIterator[Supervisor]:
    supervisor.peers = Peers(
        supervisor.pod,
        lambda: supervisor.token,
        on_open=lambda pod: supervisor.came.put_nowait(pod.worker),
        on_message=lambda pod, message: None,
        on_lost=lambda pod, why: None,
    )
    server = await supervisor.peers.listen(HOST, 0)
    supervisor.port = server.sockets[0].getsockname()[1]
    try:
        yield supervisor
    finally:
        supervisor.peers.close()
        server.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def opening(worker: str = "w9") -> bytes:
    return json.dumps({"pod": [worker, f"pod-{worker}"], "nonce": "00" * 16}).encode() + b"\n"


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


def test_who_holds_the_token_comes_in_and_nobody_else() -> None:
    async def story() -> None:
        async with (
            listening(Supervisor("w1")) as one,
            listening(Supervisor("w2")) as two,
            listening(Supervisor("w0", token="1.another")) as other,
        ):
            other.want(one, two)
            one.want(two)
            assert (await one.comer(), await two.comer()) == ("w2", "w1")
            assert (one.came.empty(), two.came.empty(), other.came.empty()) == (True, True, True)

    run(story())


@pytest.mark.parametrize("name", [b"w1", b"w9"])
def test_who_mirrors_what_we_say_is_not_taken_for_ourselves_nor_for_another(name: bytes) -> None:
    async def story() -> None:
        async with listening(Supervisor("w1")) as one, asyncio.timeout(3.0):
            reader, writer = await asyncio.open_connection(HOST, one.port)
            while said := await reader.read(1 << 16):
                writer.write(said.replace(b"w1", name))
            assert one.came.empty()
            writer.close()

    run(story())


def test_a_flood_of_callers_who_prove_nothing_locks_nobody_out() -> None:
    async def story() -> None:
        async with listening(Supervisor("w2")) as two, listening(Supervisor("w1")) as one:
            callers = [await asyncio.open_connection(HOST, two.port) for _ in range(4 * MOST_STRANGERS)]
            one.want(two)
            assert await two.comer() == "w1"
            closed = await asyncio.gather(*(is_closed(reader, 1.0) for reader, _ in callers))
            assert closed.count(False) <= MOST_STRANGERS
            for _, writer in callers:
                writer.close()

    run(story())


@pytest.mark.parametrize("said", [b"", opening(), opening() + b"\0"])
def test_who_says_nothing_more_is_let_go(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.3)

    async def story() -> None:
        async with listening(Supervisor("w1")) as one:
            reader, writer = await asyncio.open_connection(HOST, one.port)
            writer.write(said)
            assert await is_closed(reader)
            writer.close()

    run(story())


@pytest.mark.parametrize("announced", [PROOF_BYTES + 1, MAX_BYTES, MAX_BYTES + 1, 2**32 - 1])
def test_large_frames_before_any_proof_are_not_waited_for(announced: int) -> None:
    async def story() -> None:
        async with listening(Supervisor("w1")) as one:
            reader, writer = await asyncio.open_connection(HOST, one.port)
            writer.write(opening() + announced.to_bytes(4, "big") + bytes(100))
            assert await is_closed(reader, module.HANDSHAKE_SECONDS - 1)
            writer.close()

    run(story())
