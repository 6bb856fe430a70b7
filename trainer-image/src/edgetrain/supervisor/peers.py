"""Connections between the supervisors of a group: one for each pair. The greater address dials, as it does in
Gloo, so that who is dialled has seen from where the other's packets come; where nothing comes of that, the
smaller does too: the other may have lost its plan, or cannot reach us.

A full mesh of small messages, so that whoever leads next already hears everybody. Meant for groups of
up to some 32 members; larger jobs are several groups.
"""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgetrain.group.members import Pod
from edgetrain.supervisor.book import dials_first
from edgetrain.supervisor.detector import Pulse
from edgetrain.supervisor.frames import NONCE_BYTES, BadFrame, Opener, Sealer, direction_key, new_nonce
from edgetrain.supervisor.wire import BadSpeech, Spoken, decode, encode
from edgetrain_protocol.crowd import Crowd

log = logging.getLogger(__name__)

DIAL_SECONDS = 2.0
"""Within it the kernel asks twice, a second apart; it would ask again after two more, so that a link which
is whole again would be found later by waiting than by dialling anew."""
HANDSHAKE_SECONDS = 5.0
"""Until the token is proved, on either side."""
MOST_STRANGERS = 64
"""Callers who have not proved it. One more, and another of them goes: an honest one needs two round trips,
and a flood of others must not lock it out."""
RETRY_SECONDS = 0.3
RETRY_GROWTH = 1.2
RETRY_MAX_SECONDS = 2.0
DIALLED_WAITS_SECONDS = 3.0
BACKLOG_BYTES = 4 << 20
"""Unsent: a peer so far behind is as good as lost."""
OPENING_BYTES = 1024
MOST_COMPLAINTS = 1000
PIECE = 64 << 10

Address = tuple[str, int]


class Refused(ConnectionError):
    """The other side is none of ours."""


@dataclass
class Peer:
    """One live connection."""

    pod: Pod
    writer: asyncio.StreamWriter
    sealer: Sealer
    pulse: Pulse

    def send(self, message: Spoken) -> None:
        """Queue a message; never waits."""
        if self.writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self.close()
            return
        self.writer.write(self.sealer.seal(encode(message)))

    def close(self) -> None:
        self.writer.transport.abort()


@dataclass
class Peers:
    """All connections of this supervisor. Callbacks come in the loop's thread."""

    own: Pod
    address: str
    token: Callable[[], str]
    on_open: Callable[[Pod], None]
    on_message: Callable[[Pod, Spoken], None]
    on_lost: Callable[[Pod, str], None]
    live: dict[str, Peer] = field(default_factory=dict)
    """By worker."""
    _wanted: dict[Pod, Address] = field(default_factory=dict)
    _dialling: dict[Pod, asyncio.Task[None]] = field(default_factory=dict)
    _complained: dict[str, str] = field(default_factory=dict)
    _strangers: Crowd[asyncio.Task[None]] = field(default_factory=lambda: Crowd(MOST_STRANGERS))
    """Whom we serve and do not know."""

    async def listen(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, host, port)

    def want(self, addresses: Mapping[Pod, Address]) -> None:
        """Keep connections to these."""
        self._wanted = dict(addresses)
        for pod in set(self._dialling) - set(self._wanted):
            self._dialling.pop(pod).cancel()
        for pod in set(self._wanted) - set(self._dialling):
            self._dialling[pod] = asyncio.create_task(self._keep(pod), name=f"dial {pod.worker}")

    def comes_from(self, worker: str) -> str:
        """The address at the other end of its connection; empty without one."""
        peer = self.live.get(worker)
        return _host(peer.writer) if peer else ""

    def send(self, pod: Pod, message: Spoken) -> None:
        """To one, if there is a connection; whoever says things twice does so by itself."""
        peer = self.live.get(pod.worker)
        if peer and peer.pod == pod:
            peer.send(message)

    def broadcast(self, message: Spoken) -> None:
        for peer in list(self.live.values()):
            peer.send(message)

    def drop(self, worker: str, why: str) -> None:
        """Give a silent peer up."""
        if peer := self.live.get(worker):
            self._forget(peer, why)
            peer.close()

    def close(self) -> None:
        for task in self._dialling.values():
            task.cancel()
        for peer in list(self.live.values()):
            peer.close()

    # --- dialling and being dialled

    async def _keep(self, pod: Pod) -> None:
        wait = RETRY_SECONDS
        dials = dials_first(self.own, self.address, pod, self._wanted[pod][0])
        patience = 0.0 if dials else DIALLED_WAITS_SECONDS
        while True:
            await self._unconnected(pod, patience)
            try:
                host, port = self._wanted[pod]
                async with asyncio.timeout(DIAL_SECONDS):
                    reader, writer = await asyncio.open_connection(host, port)
                wait = RETRY_SECONDS
                await self._serve(reader, writer, expected=pod)
            except (OSError, TimeoutError) as error:
                self._complain(pod.worker, f"no connection to {pod.worker}: {error or 'timed out'}")
            await asyncio.sleep(wait)
            wait = min(wait * RETRY_GROWTH, RETRY_MAX_SECONDS)

    async def _unconnected(self, pod: Pod, seconds: float) -> None:
        """Until there has been no connection with it for so long."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            peer = self.live.get(pod.worker)
            if peer and peer.pod == pod:
                since = loop.time()
            elif loop.time() - since >= seconds:
                return
            await asyncio.sleep(max(RETRY_SECONDS, seconds / 4))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if goes := self._strangers.enter(task, _host(writer)):
            goes.cancel()
        try:
            await self._serve(reader, writer, expected=None)
        except (OSError, TimeoutError) as error:
            self._complain(_host(writer), f"refused a connection from {_host(writer)}: {error}")
        except asyncio.CancelledError:
            return
        finally:
            self._strangers.leave(task)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, expected: Pod | None
    ) -> None:
        peer: Peer | None = None
        why = "closed its connection"
        try:
            _tune(writer.get_extra_info("socket"))
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                pod, sealer, opener = await self._shake_hands(reader, writer)
                if expected is not None and pod != expected:
                    raise Refused(f"{expected.worker}'s address is answered by {pod.worker}, pod {pod.uid}")
                # The first frame proves the token, on both sides, before anything that was said counts.
                writer.write(sealer.seal(b"{}"))
                said = await _proved(reader, opener)
            peer = Peer(pod, writer, sealer, Pulse(asyncio.get_running_loop().time()))
            self._adopt(peer)
            await self._listen_to(peer, reader, opener, said)
        except BadFrame as error:
            why = str(error)
            self._complain(_host(writer), f"refused a connection: {error}")
        except ConnectionError as error:
            if peer is None:
                raise
            why = f"its connection broke: {error}"
        finally:
            writer.close()
            if peer:
                self._forget(peer, why)

    async def _shake_hands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[Pod, Sealer, Opener]:
        """Exchange names and nonces in the open; both directions' keys come from them and the token."""
        nonce, token = new_nonce(), self.token().encode()
        writer.write(json.dumps({"pod": self.own, "nonce": nonce.hex()}).encode() + b"\n")
        try:
            pod, theirs = read_opening(await reader.readuntil(b"\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise Refused("it does not speak as a supervisor does") from error
        if pod == self.own or theirs == nonce:
            raise Refused("it says what we say: an echo of us is nobody")
        sealer = Sealer(direction_key(token, nonce, theirs, "/".join(self.own)))
        return pod, sealer, Opener(direction_key(token, theirs, nonce, "/".join(pod)))

    # --- while it lives

    def _adopt(self, peer: Peer) -> None:
        if task := asyncio.current_task():
            self._strangers.leave(task)
        old = self.live.get(peer.pod.worker)
        self.live[peer.pod.worker] = peer
        if old:
            old.close()
        self._complained.pop(peer.pod.worker, None)
        self.on_open(peer.pod)

    async def _listen_to(
        self, peer: Peer, reader: asyncio.StreamReader, opener: Opener, said: list[bytes]
    ) -> None:
        for payload in said:
            self._heard(peer, payload)
        while piece := await reader.read(PIECE):
            for payload in opener.feed(piece):
                self._heard(peer, payload)

    def _heard(self, peer: Peer, payload: bytes) -> None:
        peer.pulse.beat(asyncio.get_running_loop().time())
        try:
            self.on_message(peer.pod, decode(payload))
        except BadSpeech as error:
            log.warning("%s said what is not understood: %s", peer.pod.worker, error)

    def _forget(self, peer: Peer, why: str) -> None:
        # A newer connection of the same worker has taken its place, or it was given up before.
        if self.live.get(peer.pod.worker) is peer:
            del self.live[peer.pod.worker]
            self.on_lost(peer.pod, why)

    def _complain(self, about: str, text: str) -> None:
        """Once for each reason: dialling a dark node goes on for hours."""
        if self._complained.get(about) != text:
            if len(self._complained) >= MOST_COMPLAINTS:
                self._complained.clear()
            self._complained[about] = text
            log.warning("%s", text)


def _host(writer: asyncio.StreamWriter) -> str:
    whence = writer.get_extra_info("peername")
    return str(whence and whence[0])


async def _proved(reader: asyncio.StreamReader, opener: Opener) -> list[bytes]:
    """What was said behind the frame that proves the token, which says nothing itself."""
    while piece := await reader.read(PIECE):
        if payloads := list(opener.feed(piece)):
            return payloads[1:]
    raise Refused("it hung up before it proved the token")


def read_opening(line: bytes) -> tuple[Pod, bytes]:
    """Who a caller says it is, and its nonce.

    Raises:
        Refused: no supervisor says that.
    """
    try:
        if len(line) > OPENING_BYTES:
            raise ValueError("too long")
        document: Any = json.loads(line)
        worker, uid = document["pod"]
        nonce = bytes.fromhex(document["nonce"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused("it does not speak as a supervisor does") from error
    if len(nonce) != NONCE_BYTES:
        raise Refused("its opening is not as agreed")
    return Pod(str(worker), str(uid)), nonce


def _tune(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
