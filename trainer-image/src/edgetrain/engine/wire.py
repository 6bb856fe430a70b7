"""Frames over TCP between a member that serves its state and one that fetches it.

Both ends prove that they know the job's token before anything is said (HMAC over the other's nonce);
the token itself never goes over the wire. A payload's length and hash are checked.
"""

import hashlib
import hmac
import json
import secrets
import socket
from typing import Any

_NONCE = 32
_HEADER_LIMIT = 64 * 1024 * 1024
_PIECE = 256 * 1024


class WireError(ConnectionError):
    """The connection failed, or the other end is not who it should be."""


Frame = tuple[bytes, bytes | memoryview]


def frame(header: dict[str, Any], payload: bytes | memoryview = b"") -> Frame:
    """A message, ready to be pushed: of a large payload the hash takes a while."""
    document = dict(header, bytes=len(payload), sha256=hashlib.sha256(payload).hexdigest())
    text = json.dumps(document).encode()
    return len(text).to_bytes(4, "big") + text, payload


class Wire:
    """One authenticated connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    def prove(self, token: str, *, server: bool) -> None:
        """Challenge the other end and answer its challenge.

        Raises:
            WireError: it does not know the token.
        """
        ours, theirs = (b"server", b"client") if server else (b"client", b"server")
        nonce = secrets.token_bytes(_NONCE)
        self._socket.sendall(nonce)
        challenge = self._exactly(_NONCE)
        self._socket.sendall(_proof(token, ours + challenge))
        if not hmac.compare_digest(self._exactly(_NONCE), _proof(token, theirs + nonce)):
            raise WireError("the other end does not know this job's token")

    def send(self, header: dict[str, Any], payload: bytes | memoryview = b"") -> None:
        self.push(frame(header, payload))

    def push(self, parts: Frame) -> None:
        """Raises WireError: closed, or nothing could be sent for as long as the connection's time-out."""
        try:
            for part in parts:
                self._push(memoryview(part))
        except OSError as error:
            raise WireError(str(error)) from error

    def receive(self) -> tuple[dict[str, Any], bytearray]:
        """Raises WireError: closed, cut short or damaged on the way."""
        length = int.from_bytes(self._exactly(4), "big")
        if length > _HEADER_LIMIT:
            raise WireError(f"a header of {length} bytes: this is no state server of ours")
        header = json.loads(self._exactly(length))
        payload = self._exactly(header["bytes"])
        if hashlib.sha256(payload).hexdigest() != header["sha256"]:
            raise WireError("the state was damaged on the way: its hash differs")
        return header, payload

    def close(self) -> None:
        self._socket.close()

    def _push(self, view: memoryview) -> None:
        # Not sendall: its time-out is for all of it, however long the way.
        while view:
            view = view[self._socket.send(view[:_PIECE]) :]

    def _exactly(self, count: int) -> bytearray:
        data = bytearray(count)
        view, got = memoryview(data), 0
        try:
            while got < count:
                size = self._socket.recv_into(view[got:], min(count - got, _PIECE))
                if not size:
                    raise WireError("the connection was closed")
                got += size
        except WireError:
            raise
        except OSError as error:
            raise WireError(str(error)) from error
        return data


def _proof(token: str, text: bytes) -> bytes:
    return hmac.new(token.encode(), text, hashlib.sha256).digest()
