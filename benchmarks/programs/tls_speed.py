"""How fast two pods of this process shake hands, and encrypt and decrypt what they say, by the time that it
takes of a processor, both ends together; which cipher they chose.
"""

import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edgetrain.credentials import Credentials
from tests.support.identities import credentials

SIZE, PIECE = 256 << 20, 256 << 10
HANDSHAKES = 30


@contextmanager
def connected(here: Credentials, there: Credentials) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    admitted: list[socket.socket] = []
    admitting = threading.Thread(target=lambda: admitted.append(there.admit(theirs)))
    admitting.start()
    with ours, theirs, here.dial(ours) as dialled:
        admitting.join()
        with admitted[0] as other:
            yield dialled, other


def handshake(here: Credentials, there: Credentials) -> float:
    began = time.process_time()
    with connected(here, there):
        return time.process_time() - began


def sent(ours: socket.socket, theirs: socket.socket) -> float:
    """Seconds for all of it."""

    def send() -> None:
        piece = bytes(PIECE)
        for _ in range(SIZE // PIECE):
            ours.sendall(piece)

    buffer, came = memoryview(bytearray(PIECE)), 0
    sending = threading.Thread(target=send)
    began = time.process_time()
    sending.start()
    while came < SIZE:
        came += theirs.recv_into(buffer)
    sending.join()
    return time.process_time() - began


def main() -> None:
    with TemporaryDirectory() as folder:
        here, there = (credentials(Path(folder), worker) for worker in ("w-a", "w-b"))
        handshakes = [handshake(here, there) for _ in range(HANDSHAKES)]
        with connected(here, there) as ends:
            (name, *_) = ends[0].cipher()  # type: ignore[attr-defined]
            rate = SIZE / 1e6 / min(sent(*ends) for _ in range(3))
    print(json.dumps({"cipher": name, "mb_per_second": rate, "handshake": statistics.median(handshakes)}))


if __name__ == "__main__":
    main()
