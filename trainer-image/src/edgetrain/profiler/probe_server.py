"""The peer's side of a probe: answers echoes, sends bursts, times those that it receives."""

import contextlib
import socket
import threading

from edgetrain.acceptor import Acceptor, Prove
from edgetrain.credentials import Credentials
from edgetrain.profiler import burst
from edgetrain.profiler.counters import Interface
from edgetrain.profiler.probe_wire import (
    BUSY,
    COUNT,
    DOWN,
    ECHO,
    READY,
    UP,
    ProbeError,
    in_the_clear,
    read_size,
    send_carried,
    send_trace,
)

HANDSHAKE_SECONDS = 3.0
SILENCE_SECONDS = 15.0
"""A prober pauses for as long as its burst took; beyond this it is gone."""
MOST_CALLERS = 8


class ProbeServer:
    """Serves one probe at a time in a thread of its own; whoever comes meanwhile is told so."""

    def __init__(
        self,
        credentials: Credentials,
        turn: threading.Lock,
        interface: Interface,
        host: str = "",
        port: int = 0,
    ) -> None:
        """`turn` is held while a probe is under way at this node, from whichever side."""
        self._credentials = credentials
        self._turn = turn
        self._interface = interface
        self._acceptor = Acceptor(self._serve, name="probe-server", most=MOST_CALLERS, host=host, port=port)
        self.port = self._acceptor.port

    def close(self) -> None:
        self._acceptor.close()

    def _serve(self, connection: socket.socket, prove: Prove) -> None:
        with contextlib.suppress(ProbeError):
            self._converse(connection, prove)

    def _converse(self, connection: socket.socket, prove: Prove) -> None:
        connection.settimeout(HANDSHAKE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._credentials.admit(connection) as secured:
            prove()
            if not self._turn.acquire(blocking=False):
                secured.sendall(BUSY)
                return
            try:
                secured.sendall(READY)
                with in_the_clear(secured) as plain:
                    plain.settimeout(SILENCE_SECONDS)
                    while command := plain.recv(1):
                        self._obey(plain, command)
            finally:
                self._turn.release()

    def _obey(self, connection: socket.socket, command: bytes) -> None:
        if command == ECHO:
            connection.sendall(ECHO)
        elif command == COUNT:
            send_carried(connection, self._interface.carried())
        elif command == DOWN:
            burst.send(connection, read_size(connection))
        elif command == UP:
            send_trace(connection, burst.receive(connection, read_size(connection)))
        else:
            raise ProbeError(f"unknown command {command!r}")
