"""Whether as much as a packet or two of data passes to other members and back, beside the process group.

A group that waits for one member is stuck on one connection alone. Which of its ends is bad is told by how
each of them gets on with the others.
"""

import socket
import threading
from collections.abc import Sequence

from edgetrain.credentials import Credentials
from edgetrain.engine.transfer.wire import Wire, WireError
from edgetrain.link import Peer

TRY_SECONDS = 1.0
"""For all of one try: connection, handshake and echo take four round trips."""
ECHO = bytes(8192)
"""Several full packets each way."""


def unheard(peers: Sequence[Peer], credentials: Credentials) -> list[str]:
    """Workers from whose state servers no echo has come; all are tried at once."""
    heard: set[str] = set()
    tries = [threading.Thread(target=_try, args=(peer, credentials, heard), daemon=True) for peer in peers]
    for thread in tries:
        thread.start()
    for thread in tries:
        thread.join(TRY_SECONDS)
    return [peer.worker for peer in peers if peer.worker not in heard]


def _try(peer: Peer, credentials: Credentials, heard: set[str]) -> None:
    try:
        address = (peer.address, peer.state_port)
        with (
            socket.create_connection(address, TRY_SECONDS) as connection,
            credentials.dial(connection, peer.worker) as secured,
        ):
            wire = Wire(secured)
            wire.send({"want": "echo"}, ECHO)
            wire.receive(payload_most=len(ECHO))
            heard.add(peer.worker)
    except (OSError, WireError, ValueError, KeyError):
        return
