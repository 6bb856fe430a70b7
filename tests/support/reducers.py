"""Bare process groups in forked processes, in network namespaces or on loopback, to time and break."""

import contextlib
import ctypes
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgetrain_protocol.strategy import Reduction

_CLONE_NEWNET = 0x40000000
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["edgetrain.session", "tests.support.trainer_program"])


class Reducers:
    """One process for each address, all in one group; `do` runs the same job on all."""

    def __init__(self, places: list[tuple[str, str]], come_from: Collection[str] = ()) -> None:
        """
        Args:
            places: (namespace or empty, address) by rank.
            come_from: see ProcessGroup; else all these addresses.
        """
        self._ends: list[Connection[Any, Any]] = []
        self._processes = []
        for rank, (namespace, address) in enumerate(places):
            ours, theirs = _forks.Pipe()
            arguments = (theirs, namespace, address, rank, len(places), come_from or {a for _, a in places})
            process = _forks.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)
        blobs = [self._receive(end) for end in self._ends]
        for end in self._ends:
            end.send(blobs)
        for end in self._ends:
            assert self._receive(end) == "built"

    def do(self, job: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `job(group, *arguments)` returned on each rank."""
        for end in self._ends:
            end.send((job, arguments))
        return [self._receive(end) for end in self._ends]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    @staticmethod
    def _receive(end: "Connection[Any, Any]") -> Any:
        assert end.poll(60), "a process of the group is stuck"
        return end.recv()


def _serve(
    end: "Connection[Any, Any]",
    namespace: str,
    address: str,
    rank: int,
    size: int,
    come_from: Collection[str],
) -> None:
    import torch

    from edgetrain.engine.formation.gloo import AddressStore, ProcessGroup

    torch.set_num_threads(1)
    if namespace:
        with Path(f"/run/netns/{namespace}").open() as file:
            assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET) == 0, os.strerror(
                ctypes.get_errno()
            )
    store = AddressStore(lambda key, value: end.send((key, value)))

    def put_all() -> None:
        for key, value in end.recv():
            store.put(key, value)

    reader = threading.Thread(target=put_all)
    reader.start()
    group = ProcessGroup(store, rank, size, address, 20.0, come_from)
    reader.join()
    end.send("built")
    while True:
        job, arguments = end.recv()
        end.send(job(group, *arguments))


def timed_sum(group: Any, kind: str, hub: int, numbers: int, times: int) -> tuple[float, bool]:
    """Median seconds of a sum of `numbers` floats, and whether every sum was right."""
    import torch

    from edgetrain.engine.formation.reducers import reducer_of

    reduction, seconds, right = reducer_of(Reduction(kind), group, hub), [], True
    want = torch.arange(numbers, dtype=torch.float32) * group.size + sum(range(group.size))
    for _ in range(times):
        tensor = torch.arange(numbers, dtype=torch.float32) + group.rank
        reduction.gather([1])  # all begin together
        begin = time.monotonic()
        reduction.sum([tensor])
        seconds.append(time.monotonic() - begin)
        right = right and torch.equal(tensor, want)
    return sorted(seconds)[len(seconds) // 2], right


def told_by_each(group: Any, kind: str, hub: int) -> list[bytes]:
    """What each rank in turn has told all."""
    from edgetrain.engine.formation.reducers import reducer_of

    reduction = reducer_of(Reduction(kind), group, hub)
    return [reduction.tell(b"of %d" % group.rank, root) for root in range(group.size)]


def stuck_while_summing(group: Any, kind: str, hub: int, numbers: int, seconds: float) -> set[str]:
    """Addresses to which nothing gets through, as told last within this time; the sum may stay blocked."""
    import torch

    from edgetrain.engine.formation.reducers import reducer_of
    from edgetrain.engine.formation.watch import watch

    told: set[str] = set()

    def note(addresses: frozenset[str]) -> None:
        told.clear()
        told.update(addresses)

    watch(group.connections(), lambda peer: None, note)
    reduction = reducer_of(Reduction(kind), group, hub)
    summing = threading.Thread(target=reduction.sum, args=([torch.ones(numbers)],), daemon=True)
    summing.start()
    summing.join(seconds)
    return told


def open_files(_group: Any) -> int:
    """Descriptors of the process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def shut_down_while_waiting(group: Any) -> tuple[float, bool]:
    """Seconds until a blocked operation was freed, and whether somebody else's connection still lives."""
    import torch

    from edgetrain.engine.formation.gloo import GroupBroken

    if not group.rank:
        # Takes no part: the others would wait for good.
        return 0.0, True
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as one, server.accept()[0] as other:
        waiting = threading.Timer(0.3, group.shutdown)
        waiting.start()
        begin = time.monotonic()
        with contextlib.suppress(GroupBroken):
            group.wait_for(group.all_reduce(torch.zeros(10)))
            return float("inf"), False
        seconds = time.monotonic() - begin
        waiting.join()
        one.sendall(b"still here")
        return seconds, other.recv(10) == b"still here"
