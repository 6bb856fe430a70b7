"""Ports for servers that are started as programs of their own."""

import atexit
import errno
import itertools
import os
import random
import socket
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LOWEST = 20000
STRETCH = 200

_turn = threading.Lock()


def free_ports(count: int) -> list[int]:
    """Ports free just now, which were given to nobody else before.

    A server listens only seconds after its port was chosen, so a port that is free is not enough: the
    same one would be given to two servers of a group now and then. A process has stretches of ports for
    itself, and gives each port once. All stretches lie below the ports that the kernel gives to
    connections, since somebody's connection could take one of those meanwhile.

    Raises:
        OSError: other processes have all stretches.
    """
    with _turn:
        return list(itertools.islice(_free(os.getpid()), count))


def free_port() -> int:
    (port,) = free_ports(1)
    return port


@cache
def _free(process: int) -> Iterator[int]:
    """Told apart by process: a fork would give the ports of the process that it came from."""
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Where the kernel gives nearly all of them, none are better than others.
    end = first_of_kernel if first_of_kernel >= LOWEST + STRETCH else 2**16
    return filter(_is_free, _ports(range(LOWEST, end - STRETCH + 1, STRETCH)))


def _ports(stretches: range) -> Iterator[int]:
    """Each port of the stretches that nobody else claimed, as far as they are needed; then again."""
    claims: dict[int, socket.socket] = {}
    for first in random.sample(stretches, len(stretches)):
        try:
            claims[first] = _claim(first)
        except OSError:
            continue
        yield from range(first, first + STRETCH)
    if not claims:
        raise OSError(errno.EADDRINUSE, f"other processes have all ports from {LOWEST}")
    yield from itertools.cycle(port for first in claims for port in range(first, first + STRETCH))


def _claim(first: int) -> socket.socket:
    """Holds a stretch until this process ends: an abstract name belongs to the network namespace, as
    ports do, and the kernel gives it back however the process ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0edgetrain-ports-{first}")
    except OSError:
        claim.close()
        raise
    atexit.register(claim.close)
    return claim


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as taken:
        if taken.errno != errno.EADDRINUSE:
            raise
        return False
    return True
