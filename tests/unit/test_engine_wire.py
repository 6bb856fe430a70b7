"""Frames between a donor and a newcomer: whatever is announced, no more memory is taken than bytes came."""

import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edgetrain.engine.transfer.wire import PAYLOAD_BYTES, Wire, WireError, frame


@dataclass
class Ends:
    """Bytes are pushed into one end, and the other reads messages of ours."""

    sender: socket.socket
    wire: Wire

    def push(self, *parts: bytes) -> None:
        self.sender.sendall(b"".join(parts))
        self.sender.shutdown(socket.SHUT_WR)


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here, there = socket.create_connection(server.getsockname()), server.accept()[0]
    with here, there:
        there.settimeout(5)
        yield Ends(here, Wire(there))


def headed(header: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + header


@pytest.mark.attack(23)
def test_a_payload_that_is_only_announced_takes_no_memory(ends: Ends) -> None:
    ends.push(headed(json.dumps({"bytes": PAYLOAD_BYTES, "sha256": ""}).encode()), bytes(100_000))
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="closed"):
            ends.wire.receive()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_a_payload_of_any_size_arrives_as_it_was(ends: Ends, size: int) -> None:
    payload = bytes(i % 251 for i in range(1000)) * (size // 1000) + bytes(size % 1000)
    sender = threading.Thread(target=ends.push, args=(frame({"want": "x"}, payload),))
    sender.start()
    header, got = ends.wire.receive()
    sender.join()
    assert header["want"] == "x" and bytes(got) == payload


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[1]",
        b"[" * 100_000,
        b'{"want": "step"}',
        b'{"bytes": -1, "sha256": ""}',
        b'{"bytes": "9", "sha256": ""}',
        b'{"bytes": 1e9, "sha256": ""}',
        b'{"bytes": 9000, "sha256": ""}',
        b'{"want": "' + b"x" * 5000 + b'"}',
    ],
)
@pytest.mark.attack(21)
def test_a_request_that_is_none_is_refused(ends: Ends, header: bytes) -> None:
    ends.push(headed(header))
    with pytest.raises((WireError, ValueError, KeyError)):
        ends.wire.receive(4096, 8192)
