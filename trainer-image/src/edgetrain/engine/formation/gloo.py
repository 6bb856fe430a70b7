"""Process groups that can be given up at any moment. The only module that touches torch's private parts.

Pinned to torch 2.13: `ProcessGroupGloo.abort()` does nothing there, so operations are freed by shutting
down the group's sockets; a later torch's real abort can replace that here. That does not free all:
when a connection closes, Gloo forgets to tell those who wait for a send that is queued or a receive
that is half done (`Pair::signalException` goes through pending operations only), which on slow links
is nearly everybody. So callers must be ready to leave a blocked operation behind. Always eager: with
lazy connections the listening side ignores its time-out (gloo#520).

Who may connect to a group, and until when, is in listener.py.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed as torch_distributed

from edgetrain.engine.formation import listener
from edgetrain.engine.formation.open_sockets import duplicate, open_sockets
from edgetrain.engine.formation.packet_filter import NOBODY, Program, only

dist: Any = torch_distributed
"""Torch publishes no types of what is used here."""

OPERATION_TIMEOUT = timedelta(seconds=600)
"""Of an operation that was left behind; that a peer is alive is found out by the supervisors long before."""


class GroupBroken(Exception):
    """An operation failed, or the group was given up. The group is of no more use."""

    def __init__(self, text: str, addresses: frozenset[str] = frozenset()) -> None:
        super().__init__(text)
        self.addresses = addresses
        """Peers that the error names, by address."""


class Work(Protocol):
    def wait(self, timeout: timedelta) -> object: ...


class AddressStore(dist.Store):  # type: ignore[misc]  # see dist
    """The store by which Gloo's ranks find each other, carried by the supervisors: no open store port.

    Every value is pushed to every member, so a get waits here and asks nobody.
    """

    def __init__(self, publish: Callable[[str, bytes], None]) -> None:
        super().__init__()
        self._publish = publish
        self.on_listening: Callable[[], None] = lambda: None
        """Called when it is known where we listen, before anybody else is told."""
        self._values: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._closed = False

    def set(self, key: str, value: bytes) -> None:
        self.put(key, bytes(value))
        self.on_listening()
        self._publish(key, bytes(value))

    def put(self, key: str, value: bytes) -> None:
        """A value that came from another member."""
        with self._changed:
            self._values[key] = value
            self._changed.notify_all()

    def get(self, key: str) -> bytes:
        self.wait([key])
        return self._values[key]

    def wait(self, keys: list[str], timeout: timedelta | None = None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or all(key in self._values for key in keys))
            if self._closed:
                raise GroupBroken("the formation was given up")

    def close(self) -> None:
        """Frees whoever waits for a value."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def listeners(self) -> dict[int, tuple[str, int]]:
        """Where each rank that has published listens, by rank."""
        with self._changed:
            values = dict(self._values)
        return {int(key.rsplit("/", 1)[-1]): _address_in(value) for key, value in values.items()}


def _address_in(blob: bytes) -> tuple[str, int]:
    """Gloo's address of a rank: length and text of its host's name, then of a sockaddr, then the rest."""
    start = 16 + int.from_bytes(blob[:8], "little")
    family = int.from_bytes(blob[start : start + 2], "little")
    port = int.from_bytes(blob[start + 2 : start + 4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(family, blob[start + 4 : start + 8]), port
    return socket.inet_ntop(socket.AF_INET6, blob[start + 8 : start + 24]), port


class ProcessGroup:
    """A process group. Operations block their caller; `shutdown` from another thread frees it."""

    def __init__(
        self,
        store: AddressStore,
        rank: int,
        size: int,
        address: str,
        build_seconds: float,
        come_from: Iterable[str],
    ) -> None:
        """Connect to all the others: blocks until they have all done the same, beyond any deadline.

        Args:
            address: of ours, to listen on.
            come_from: addresses from which the others may connect; the kernel drops what strangers send.

        Raises:
            GroupBroken: somebody could not be reached, or the store was closed.
        """
        self.rank, self.size = rank, size
        self._store = store
        store.on_listening = lambda: admit(store, rank, only(come_from))
        options = dist.ProcessGroupGloo._Options()
        options._timeout = timedelta(seconds=build_seconds)
        options._threads = 2
        with _REPORTED:
            # Raises where `address` is not one of this node's.
            options._devices = [dist.ProcessGroupGloo.create_device(hostname=address, lazy_init=False)]
            self._gloo = dist.ProcessGroupGloo(store, rank, size, options)

    def all_reduce(self, tensor: torch.Tensor) -> Work:
        """Begin to sum `tensor` over all ranks, in place, by a ring: all end with the same bits."""
        options = dist.AllreduceOptions()
        options.timeout = OPERATION_TIMEOUT
        with _REPORTED:
            work: Work = self._gloo.allreduce([tensor], options)
            return work

    def broadcast(self, tensor: torch.Tensor, root: int) -> None:
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor, options.timeout = root, 0, OPERATION_TIMEOUT
        with _REPORTED:
            self._gloo.broadcast([tensor], options).wait()

    def send(self, tensor: torch.Tensor, to: int, tag: int) -> Work:
        """Begin to send; `wait_for` the result before the tensor is touched again."""
        with _REPORTED:
            work: Work = self._gloo.send([tensor], to, tag)
            return work

    def receive(self, tensor: torch.Tensor, source: int, tag: int) -> Work:
        with _REPORTED:
            work: Work = self._gloo.recv([tensor], source, tag)
            return work

    def wait_for(self, work: Work) -> None:
        with _REPORTED:
            work.wait(OPERATION_TIMEOUT)

    def connections(self) -> list[socket.socket]:
        """Duplicates of the connections to all peers, to watch; the caller closes them."""
        return [duplicate(connection.fileno()) for connection in _connections(self._store, self.rank)]

    def stop_listening(self) -> None:
        """Nobody connects any more; those who are stay connected."""
        listener.end(self._store.listeners().get(self.rank))

    def shutdown(self) -> None:
        """Free whoever is blocked in an operation, here and, through the closed connections, at the peers."""
        shut_down(self._store, self.rank)


def admit(store: AddressStore, rank: int, program: Program) -> None:
    """Let those connect to a group's listener from now on whom `program` lets in."""
    listener.admit(store.listeners().get(rank), program)


def shut_down(store: AddressStore, rank: int) -> None:
    """Shut the connected sockets of a group, built or half built.

    The listener of a half-built one stays, for nobody where there is a filter: shutting it kills the process.
    """
    store.close()
    admit(store, rank, NOBODY)
    for connection in _connections(store, rank):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def connected(store: AddressStore, rank: int) -> frozenset[str]:
    """Addresses of the peers to which this half-built group has a connection."""
    found = set()
    for connection in _connections(store, rank):
        with contextlib.suppress(OSError):
            found.add(str(connection.getpeername()[0]))
    return frozenset(found)


def _connections(store: AddressStore, rank: int) -> Iterator[socket.socket]:
    """A group's connections, known by its listeners' ports."""
    listeners = store.listeners()
    own, others = listeners.pop(rank, None), set(listeners.values())

    def of_group(one: socket.socket) -> bool:
        peer = one.getpeername()[:2]
        return one.getsockname()[:2] == own or peer in others

    return (connection for _, connection in open_sockets(of_group))


class _Reported:
    """Gloo's errors as ours; a class, since a generator's frame takes longer than what it is around."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError):
            text = str(error)
            named = frozenset(re.findall(r"\[([0-9a-fA-F.:]+)\]:\d+", text))
            raise GroupBroken(_terse(text), named) from error


_REPORTED = _Reported()


def _terse(text: str) -> str:
    """Without the source's path before it and the advice after it."""
    return re.sub(r"^\[[^\]]*\.cc:\d+\] ", "", text.splitlines()[0]).split(". This is")[0][:500]
