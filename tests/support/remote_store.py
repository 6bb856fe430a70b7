"""An endpoint of remote write that keeps what it is sent, read back by a decoder of its own."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.http_server import answering

Labels = frozenset[tuple[str, str]]


@dataclass
class Store:
    """`statuses`: what the next requests are answered; 204 once they are used up."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    samples: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def named(self, name: str) -> dict[str, list[tuple[int, float]]]:
        """Samples of a metric by node."""
        found = {
            dict(labels).get("node", ""): s
            for labels, s in self.samples.items()
            if ("__name__", name) in labels
        }
        return found

    def take(self, body: bytes) -> None:
        for field_number, series in fields(unsnappy(body)):
            assert field_number == 1
            labels: list[dict[int, bytes]] = []
            samples: list[dict[int, bytes]] = []
            for number, value in fields(series):
                (labels if number == 1 else samples).append(dict(fields(value)))
            names = [(label[1].decode(), label[2].decode()) for label in labels]
            assert names == sorted(names), "labels must be sorted"
            pairs = [(_integer(s[2]), struct.unpack("<d", s[1])[0]) for s in samples]
            assert pairs == sorted(pairs), "samples must be in order"
            self.samples.setdefault(frozenset(names), []).extend(pairs)


@contextmanager
def storing() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            store.requests += 1
            status = store.statuses.pop(0) if store.statuses else 204
            if status == 204:
                store.headers.append(dict(self.headers))
                store.take(body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with answering(Handler) as store.port:
        yield store


def unsnappy(block: bytes) -> bytes:
    """Of a block with literals of every length, and no copies."""
    size, at = _varint(block, 0)
    data = bytearray()
    while at < len(block):
        tag = block[at]
        assert tag & 3 == 0, "not a literal"
        extra = max((tag >> 2) - 59, 0)
        length = int.from_bytes(block[at + 1 : at + 1 + extra], "little") if extra else tag >> 2
        at += 1 + extra
        data += block[at : at + length + 1]
        at += length + 1
    assert len(data) == size
    return bytes(data)


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each field of a protobuf message; a varint's value as it stands there."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            end = _varint(message, at)[1]
        elif kind == 1:
            end = at + 8
        else:
            length, at = _varint(message, at)
            end = at + length
        yield number, message[at:end]
        at = end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def _integer(varint: bytes) -> int:
    value = _varint(varint, 0)[0]
    return value - (1 << 64) if value >> 63 else value
