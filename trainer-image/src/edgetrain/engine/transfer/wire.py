"""Frames over TCP between a member that serves its state and one that fetches it.

Each has proved before which pod of the job it is (`edgetrain.credentials`). A message's payload is small, and
its length and hash are checked; tensors follow a message in pieces (pieces.py).
"""

import hashlib
import json
import socket
from typing import Any

_PIECE = 256 * 1024
_AT_FIRST = 1 << 20
ANSWER_BYTES = 64 << 20
"""The most that stands before a step: the record of the samples that are still to come."""
PAYLOAD_BYTES = 16 << 20
"""The most that comes with it: a state but for its tensors' bytes."""


class WireError(ConnectionError):
    """The connection failed, or the other end is not who it should be."""


def frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """A message as it goes over."""
    document = dict(header, bytes=len(payload), sha256=hashlib.sha256(payload).hexdigest())
    text = json.dumps(document).encode()
    return len(text).to_bytes(4, "big") + text + payload


class Wire:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Raises WireError: as of `push`."""
        self.push(memoryview(frame(header, payload)))

    def push(self, data: memoryview) -> None:
        """Raises WireError: closed, or nothing could be sent for as long as the connection's time-out."""
        try:
            # Not sendall: its time-out is for all of it, however long the way.
            while data:
                data = data[self._socket.send(data[:_PIECE]) :]
        except OSError as error:
            raise WireError(str(error)) from error

    def fill(self, room: memoryview) -> None:
        """With the next bytes. Raises WireError: closed, or nothing came for the connection's time-out."""
        while room:
            room = room[self._received(room[:_PIECE]) :]

    def receive(
        self, header_most: int = ANSWER_BYTES, payload_most: int = PAYLOAD_BYTES
    ) -> tuple[dict[str, Any], bytearray]:
        """The next message, of at most so many bytes.

        Raises:
            WireError: closed, cut short, too large or damaged on the way.
            ValueError: its header is no JSON object.
            KeyError: or one without the payload's length and hash.
        """
        length = int.from_bytes(self._exactly(4), "big")
        if length > header_most:
            raise WireError(f"a header of {length} bytes: nobody of ours sends that")
        header = _object(self._exactly(length))
        size = header["bytes"]
        if not isinstance(size, int) or not 0 <= size <= payload_most:
            raise WireError(f"a payload of {size!r:.40} bytes: nobody of ours sends that")
        payload = self._exactly(size)
        if hashlib.sha256(payload).hexdigest() != header["sha256"]:
            raise WireError("a message was damaged on the way: its hash differs")
        return header, payload

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, count: int) -> bytearray:
        """Memory is taken as bytes come, not as they are announced."""
        data, got = bytearray(), 0
        while got < count:
            data.extend(bytes(min(max(got, _AT_FIRST), count - got)))
            with memoryview(data) as view, view[got:] as room:
                self.fill(room)
            got = len(data)
        return data

    def _received(self, piece: memoryview) -> int:
        try:
            size = self._socket.recv_into(piece)
        except OSError as error:
            raise WireError(str(error)) from error
        if not size:
            raise WireError("the connection was closed")
        return size


def _object(text: bytearray) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("a header that is nested without end") from error
    if not isinstance(document, dict):
        raise ValueError("a header that is no JSON object")
    return document
