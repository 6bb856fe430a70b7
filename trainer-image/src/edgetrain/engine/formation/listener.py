"""Gloo's listener: who may connect to it, and how it ends before Gloo ends it.

Gloo takes whoever connects at his word, keeps his descriptor, and ends the process when there are no more. It
listens for as long as the group is there, though all connections of a group are made while it is built. So
where the kernel takes a packet filter from us it lets in the members alone; and once the group is built, the
listener's number stands for another socket, to which nobody can connect.
"""

import logging
import os
import socket
from collections.abc import Iterator
from functools import cache

from edgetrain.engine.formation.open_sockets import open_sockets
from edgetrain.engine.formation.packet_filter import Program, attach

log = logging.getLogger(__name__)

Address = tuple[str, int]


def admit(address: Address | None, program: Program) -> None:
    """Let those connect from now on whom `program` lets in; None: Gloo has not told yet where it listens."""
    for _, listener in _listeners(address):
        try:
            attach(listener, program)
        except OSError as error:
            _tell_once(
                f"strangers may connect while a group is built: no packet filter here ({error.strerror})"
            )


def end(address: Address | None) -> None:
    """Nobody connects any more. Not to be called while Gloo may end the group itself.

    Shutting the listener down would end the process: Gloo still watches its number. What the number stands
    for afterwards listens too, so that an accept under way finds nothing, which Gloo takes for no error.
    """
    for number, _ in _listeners(address):
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind("")
            deaf.listen(0)
            deaf.setblocking(False)
            os.dup2(deaf.fileno(), number, inheritable=False)


def _listeners(address: Address | None) -> Iterator[tuple[int, socket.socket]]:
    def is_it(one: socket.socket) -> bool:
        return one.getsockname()[:2] == address and bool(
            one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        )

    return open_sockets(is_it)


@cache
def _tell_once(text: str) -> None:
    """In a process."""
    log.info("%s; see docs/security.md", text)
