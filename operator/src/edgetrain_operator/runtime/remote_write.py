"""Prometheus remote write, version 1.0: a protobuf message in a Snappy block, sent by POST.

Both by hand: the message has four kinds of fields, and a Snappy block may consist of literals alone.
That forgoes compression, which pays on the way out of a site; operator and store are on the same side.
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "edgetrain-operator",
}
REQUEST_SECONDS = 30.0

_VARINT, _DOUBLE, _BYTES = 0, 1, 2
_LITERAL_BYTES = 1 << 16
_LITERAL_OF_TWO_LENGTH_BYTES = 61 << 2


class Series(NamedTuple):
    """One series; its samples are (Unix time in milliseconds, value), oldest first."""

    labels: Mapping[str, str]
    """`__name__` among them."""
    samples: Iterable[tuple[int, float]]


class Unavailable(Exception):
    """Nobody took it; the same again later is worth a try."""


class Refused(Exception):
    """It was looked at and refused, in part or as a whole: the same again will not do better."""


class RemoteWriter:
    """Writes to one endpoint. For one event loop."""

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        self._url, self._token_file = url, token_file
        self._session: aiohttp.ClientSession | None = None

    async def write(self, series: Iterable[Series]) -> None:
        """Raises:
        Unavailable, Refused: see there.
        """
        try:
            async with self._client().post(
                self._url, data=snappy(write_request(series)), headers=HEADERS | self._authorization()
            ) as answer:
                text = (await answer.content.read(300)).decode(errors="replace").strip()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{self._url}: {error!r}") from error
        if answer.status >= 500 or answer.status in (401, 403, 404, 429):
            raise Unavailable(f"{self._url}: {answer.status} {text}")
        if answer.status >= 300:
            raise Refused(f"{self._url}: {answer.status} {text}")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _authorization(self) -> dict[str, str]:
        """Read each time: tokens are rotated."""
        if self._token_file is None:
            return {}
        return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}

    def _client(self) -> aiohttp.ClientSession:
        # Made at the first use: a session belongs to the running loop.
        if self._session is None:
            # By the proxy that the environment names: the one thing that the operator dials outside.
            timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        return self._session


def write_request(series: Iterable[Series]) -> bytes:
    """prometheus.WriteRequest; labels are sorted by name, as receivers demand."""
    return b"".join(_bytes(1, _time_series(one)) for one in series)


def _time_series(one: Series) -> bytes:
    labels = (
        _bytes(1, name.encode()) + _bytes(2, value.encode()) for name, value in sorted(one.labels.items())
    )
    samples = (_key(1, _DOUBLE) + struct.pack("<d", value) + _number(2, at) for at, value in one.samples)
    return b"".join([*(_bytes(1, label) for label in labels), *(_bytes(2, sample) for sample in samples)])


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _varint(value: int) -> bytes:
    """Base 128, the lowest first; a negative number as 64 bits, two's complement."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def snappy(data: bytes) -> bytes:
    """A Snappy block of `data`: its length, then literals."""
    block = bytearray(_varint(len(data)))
    for start in range(0, len(data), _LITERAL_BYTES):
        literal = data[start : start + _LITERAL_BYTES]
        block.append(_LITERAL_OF_TWO_LENGTH_BYTES)
        block += struct.pack("<H", len(literal) - 1)
        block += literal
    return bytes(block)
