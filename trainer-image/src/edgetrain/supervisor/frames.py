"""Messages in a stream of bytes: each behind its length."""

import struct
from collections.abc import Iterator

MAX_BYTES = 4 << 20
_HEAD = struct.Struct("!I")


class BadFrame(ConnectionError):
    """Bytes that no supervisor sends."""


def framed(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload)) + payload


class Frames:
    """Reads them from pieces of a stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Payloads that are whole by now.

        Raises:
            BadFrame: one of them would be larger than any.
        """
        self._rest += piece
        while (payload := self._next()) is not None:
            yield payload

    def _next(self) -> bytes | None:
        if len(self._rest) < _HEAD.size:
            return None
        (length,) = _HEAD.unpack_from(self._rest)
        if length > MAX_BYTES:
            raise BadFrame(f"a message of {length} bytes: no supervisor sends that")
        end = _HEAD.size + length
        if len(self._rest) < end:
            return None
        payload, self._rest = self._rest[_HEAD.size : end], self._rest[end:]
        return payload
