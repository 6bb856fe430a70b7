"""The TCP sockets that this process has open, whoever opened them."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

_INTERNET = (socket.AF_INET, socket.AF_INET6)


def open_sockets(fits: Callable[[socket.socket], bool]) -> Iterator[tuple[int, socket.socket]]:
    """Those that fit: each one's number, and a duplicate that is closed after its turn.

    Never by comparing descriptors before and after: that takes other threads' sockets too.
    """
    for descriptor in Path("/proc/self/fd").iterdir():
        number = int(descriptor.name)
        # OSError: no socket, not connected, or closed since it was listed.
        with contextlib.suppress(OSError), duplicate(number) as one:
            if one.type == socket.SOCK_STREAM and one.family in _INTERNET and fits(one):
                yield number, one


def duplicate(descriptor: int) -> socket.socket:
    """The same socket under a number of our own: the other may be closed and reused while we look.

    Not by socket.dup(): that sets its time-out, and so makes Gloo's own end of it blocking.
    """
    number = os.dup(descriptor)
    try:
        return socket.socket(fileno=number)
    except OSError:
        os.close(number)
        raise
