"""Authenticated frames: what arrives was sent by a holder of the job's token, once, and in this order.

Not encrypted: votes, heartbeats and addresses are no secret, and TLS on every pair of a group would
cost slow processors more than the heartbeats themselves.
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator

NONCE_BYTES = 16
MAC_BYTES = 16
MAX_BYTES = 4 << 20
PROOF_BYTES = 64
"""The most of the first frame, by which the sender proves that it holds the token: until then nobody's word
is worth memory."""
_HEAD = struct.Struct("!I")


class BadFrame(ConnectionError):
    """A frame that no holder of the token sent on this connection."""


def new_nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)


def direction_key(token: bytes, sender_nonce: bytes, receiver_nonce: bytes, sender: str) -> bytes:
    """The key of one direction of one connection: nothing can be played back on another."""
    text = b"edgetrain control\0" + sender_nonce + receiver_nonce + sender.encode()
    return hmac.digest(token, text, hashlib.sha256)


class Sealer:
    """Makes frames."""

    def __init__(self, key: bytes) -> None:
        self._key, self._count = key, 0

    def seal(self, payload: bytes) -> bytes:
        mac = _mac(self._key, self._count, payload)
        self._count += 1
        return _HEAD.pack(len(payload)) + mac + payload


class Opener:
    """Reads frames from pieces of a stream."""

    def __init__(self, key: bytes) -> None:
        self._key, self._count, self._rest = key, 0, b""

    @property
    def _most(self) -> int:
        return MAX_BYTES if self._count else PROOF_BYTES

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Payloads that are whole by now.

        Raises:
            BadFrame: wrong token, a changed byte, or no frame at all.
        """
        self._rest += piece
        while (payload := self._next()) is not None:
            yield payload

    def _next(self) -> bytes | None:
        start = _HEAD.size + MAC_BYTES
        if len(self._rest) < start:
            return None
        (length,) = _HEAD.unpack_from(self._rest)
        if length > self._most:
            raise BadFrame(f"a frame of {length} bytes: no supervisor sends that")
        if len(self._rest) < start + length:
            return None
        mac, payload = self._rest[_HEAD.size : start], self._rest[start : start + length]
        if not hmac.compare_digest(mac, _mac(self._key, self._count, payload)):
            raise BadFrame("its frames do not fit this job's token")
        self._count += 1
        self._rest = self._rest[start + length :]
        return payload


def _mac(key: bytes, count: int, payload: bytes) -> bytes:
    return hmac.digest(key, count.to_bytes(8, "big") + payload, hashlib.sha256)[:MAC_BYTES]
