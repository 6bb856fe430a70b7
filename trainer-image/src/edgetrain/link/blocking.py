"""The socket under the local link, as blocking calls. An asyncio peer needs only the codec."""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Self

from edgetrain.link.codec import decode, encode
from edgetrain.link.messages import Message
from edgetrain_protocol.names import Env

_PIECE = 64 * 1024


class LinkClosed(ConnectionError):
    """The process at the other end is gone."""


class Link:
    """One end. `send` may be called from any thread; one thread iterates over `receive`."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._writing = threading.Lock()

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self | None:
        """The link that the supervisor handed to this process, or None where there is no supervisor.

        Raises:
            ValueError: the variable holds no descriptor of a socket.
        """
        text = env.get(Env.LINK_FD)
        if not text:
            return None
        try:
            return cls(socket.socket(fileno=int(text)))
        except (ValueError, OSError) as error:
            what = f"{Env.LINK_FD}={text} is no open socket: {error}"
            raise ValueError(f"{what}; unset it to run alone, without a supervisor") from error

    def send(self, message: Message) -> None:
        """Hand one message over.

        Raises:
            LinkClosed: nobody is there any more.
        """
        line = encode(message)
        try:
            with self._writing:
                self._socket.sendall(line)
        except OSError as error:
            raise LinkClosed(f"the supervisor's end is closed: {error}") from error

    def offer(self, message: Message) -> bool:
        """Hand a small message over if that can be done at once; says whether it was.

        For what the next message makes outdated: training never waits for a supervisor that is slow to read.
        """
        if not self._writing.acquire(blocking=False):
            return False
        try:
            if not select.select([], [self._socket], [], 0)[1]:
                return False
            self._socket.sendall(encode(message))
            return True
        except (OSError, ValueError):
            return False
        finally:
            self._writing.release()

    def receive(self) -> Iterator[Message]:
        """Messages as they come; ends when the other end closes.

        Raises:
            BadMessage: the other end speaks another language.
        """
        rest = b""
        while piece := self._piece():
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(decode, lines)

    def close(self) -> None:
        # Wakes the reading thread too, which a bare close would not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _piece(self) -> bytes:
        try:
            return self._socket.recv(_PIECE)
        except OSError:
            return b""
