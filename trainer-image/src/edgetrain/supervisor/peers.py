"""Connections between the supervisors of a group: one for each pair. The greater address dials, as it does in
Gloo, so that who is dialled has seen from where the other's packets come; where nothing comes of that, the
smaller does too: the other may have lost its plan, or cannot reach us.

A full mesh of small messages, so that whoever leads next already hears everybody. Meant for groups of
up to some 32 members; larger jobs are several groups.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from edgetrain.credentials import Credentials, Stranger
from edgetrain.group.members import Pod
from edgetrain.supervisor import streams
from edgetrain.supervisor.book import dials_first
from edgetrain.supervisor.detector import Pulse
from edgetrain.supervisor.frames import BadFrame, Frames, framed
from edgetrain.supervisor.peer_connection import PeerConnection
from edgetrain.supervisor.streams import Stream
from edgetrain.supervisor.wire import BadSpeech, Spoken, decode, encode
from edgetrain_protocol.crowd import Crowd
from edgetrain_protocol.listening import listen

log = logging.getLogger(__name__)

DIAL_SECONDS = 2.0
"""Within it the kernel asks twice, a second apart; it would ask again after two more, so that a link which
is whole again would be found later by waiting than by dialling anew."""
HANDSHAKE_SECONDS = 5.0
"""Until each knows the other."""
MOST_STRANGERS = 64
"""Callers who are not known yet. One more, and another of them goes: an honest one needs two round trips,
and a flood of others must not lock it out."""
ACCEPT_AGAIN_SECONDS = 0.2
RETRY_SECONDS = 0.3
RETRY_GROWTH = 1.2
RETRY_MAX_SECONDS = 2.0
DIALLED_WAITS_SECONDS = 3.0
MOST_COMPLAINTS = 1000
PIECE = 64 << 10

WELCOME = framed(b"{}")
"""Says nothing but that the sender knows the receiver: who dials is done with the handshake before the other
end has looked at its certificate."""

Address = tuple[str, int]


@dataclass
class Peers:
    """All connections of this supervisor. Callbacks come in the loop's thread."""

    own: Pod
    address: str
    credentials: Credentials
    on_open: Callable[[Pod], None]
    on_message: Callable[[Pod, Spoken], None]
    on_lost: Callable[[Pod, str], None]
    live: dict[str, PeerConnection] = field(default_factory=dict)
    """By worker."""
    _wanted: dict[Pod, Address] = field(default_factory=dict)
    _dialling: dict[Pod, asyncio.Task[None]] = field(default_factory=dict)
    _complained: dict[str, str] = field(default_factory=dict)
    _strangers: Crowd[asyncio.Task[None]] = field(default_factory=lambda: Crowd(MOST_STRANGERS))
    """Whom we serve and do not know."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def listen(self, host: str, port: int) -> int:
        """Returns the port.

        Raises:
            OSError: it is taken.
        """
        listener = listen(host, port)
        listener.setblocking(False)
        self._spawn(self._accept(listener))
        return int(listener.getsockname()[1])

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
        return str(peer.writer.get_extra_info("peername")[0]) if peer else ""

    def send(self, pod: Pod, message: Spoken) -> None:
        """To one, if there is a connection; whoever says things twice does so by itself."""
        self.sending(pod, message)()

    def sending(self, pod: Pod, message: Spoken) -> Callable[[], None]:
        """The same, for when it may go: on the connection that there is now, if it lives then."""
        peer = self.live.get(pod.worker)
        return partial(self._say, [peer] if peer and peer.pod == pod else [], message)

    def broadcast(self, message: Spoken) -> None:
        self.broadcasting(message)()

    def broadcasting(self, message: Spoken) -> Callable[[], None]:
        """To all, for when it may go; as `sending`."""
        return partial(self._say, list(self.live.values()), message)

    def _say(self, peers: Iterable[PeerConnection], message: Spoken) -> None:
        frame = framed(encode(message))
        for peer in peers:
            if self.live.get(peer.pod.worker) is peer:
                peer.send(frame)

    def drop(self, worker: str, why: str) -> None:
        """Give a silent peer up."""
        if peer := self.live.get(worker):
            self._forget(peer, why)
            peer.close()

    def close(self) -> None:
        for task in (*self._dialling.values(), *self._tasks):
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
                    connection = await streams.connected(host, port)
                wait = RETRY_SECONDS
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    stream = await streams.dialled(connection, self.credentials.client)
                await self._serve(stream, expected=pod)
            except (OSError, TimeoutError, UnicodeError) as error:  # the last: of an address that is none
                self._complain(pod.worker, f"no connection to {pod.worker}: {error or 'timed out'}")
            except Exception:
                # A defect of ours, in what was made of a word. It costs the connection, and is told; not to
                # dial any more would cost all later ones, and nobody would know why.
                log.exception("the connection to %s is given up", pod.worker)
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

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, whence = await loop.sock_accept(listener)
                except OSError:
                    # Out of descriptors, or a caller that left in the queue: it passes, and we still listen.
                    await asyncio.sleep(ACCEPT_AGAIN_SECONDS)
                    continue
                host = str(whence[0])
                if goes := self._strangers.enter(self._spawn(self._admit(connection, host)), host):
                    goes.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._strangers.leave)
        return task

    async def _admit(self, connection: socket.socket, host: str) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                stream = await streams.admitted(connection, self.credentials.server)
            await self._serve(stream, expected=None)
        except (OSError, TimeoutError) as error:
            self._complain(host, f"refused a connection from {host}: {error or 'it took too long'}")
        except Exception:
            log.exception("the connection from %s is given up", host)

    async def _serve(self, stream: Stream, expected: Pod | None) -> None:
        peer: PeerConnection | None = None
        why = "closed its connection"
        try:
            pod, frames = self._pod_at(stream, expected), Frames()
            stream.writer.write(WELCOME)
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                said = await _welcomed(stream.reader, frames)
            newcomer = PeerConnection(pod, stream.writer, Pulse(asyncio.get_running_loop().time()))
            self._adopt(newcomer)
            peer = newcomer
            await self._listen_to(peer, stream.reader, frames, said)
        except ConnectionError as error:
            if peer is None:
                raise
            why = str(error) if isinstance(error, BadFrame) else f"its connection broke: {error}"
        finally:
            stream.writer.close()
            if peer:
                self._forget(peer, why)

    def _pod_at(self, stream: Stream, expected: Pod | None) -> Pod:
        """Who is at the other end.

        Raises:
            Stranger: none of ours, or not the one that was dialled.
        """
        shown = self.credentials.peer_of(stream.tls)
        pod = Pod(shown.worker, shown.pod_uid)
        if pod == self.own:
            raise Stranger("it is this pod")
        if expected is not None and pod != expected:
            raise Stranger(f"{expected.worker}'s address is answered by {pod.worker}, pod {pod.uid}")
        return pod

    # --- while it lives

    def _adopt(self, peer: PeerConnection) -> None:
        """
        Raises:
            Stranger: another pod of its worker is here, which is the one that we want.
        """
        old = self.live.get(peer.pod.worker)
        if old and old.pod in self._wanted and peer.pod not in self._wanted:
            here, came = old.pod, peer.pod
            raise Stranger(f"{here.worker} is here with pod {here.uid}, and {came.uid} is not planned")
        if task := asyncio.current_task():
            self._strangers.leave(task)
        self.live[peer.pod.worker] = peer
        if old:
            old.close()
        self._complained.pop(peer.pod.worker, None)
        self.on_open(peer.pod)

    async def _listen_to(
        self, peer: PeerConnection, reader: asyncio.StreamReader, frames: Frames, said: list[bytes]
    ) -> None:
        for payload in said:
            self._heard(peer, payload)
        while piece := await reader.read(PIECE):
            for payload in frames.feed(piece):
                self._heard(peer, payload)

    def _heard(self, peer: PeerConnection, payload: bytes) -> None:
        if self.live.get(peer.pod.worker) is not peer:
            return  # It was given up with this still to be read.
        peer.pulse.beat(asyncio.get_running_loop().time())
        try:
            self.on_message(peer.pod, decode(payload))
        except BadSpeech as error:
            log.warning("%s said what is not understood: %s", peer.pod.worker, error)

    def _forget(self, peer: PeerConnection, why: str) -> None:
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


async def _welcomed(reader: asyncio.StreamReader, frames: Frames) -> list[bytes]:
    """What was said behind the other's welcome."""
    while piece := await reader.read(PIECE):
        if payloads := list(frames.feed(piece)):
            return payloads[1:]
    raise Stranger("it hung up before it said that it knows us")
