"""Data of each worker's own stay where they are: what goes over the wire is watched, byte for byte."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.support.loops import end_alike, running

ROWS = 200
ALL_PACKETS = 3
"""ETH_P_ALL."""
WITNESS = 0.7310585786300049
"""A number that the program does send, and that is to be seen."""

PROGRAM = f"""
node = "abcd".index(worker)
x = torch.rand({ROWS}, 4, generator=torch.Generator().manual_seed(1000 + node), dtype=torch.float64).float()
y = x.sum(1, keepdim=True)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=25, shuffle=True), local=True)
model, optimizer = session.prepare(model, optimizer)
for _ in session.epochs(3):
    for bx, by in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
    session.gather({WITNESS})
session.save(model)
"""


@contextmanager
def watched(seen: bytearray) -> Iterator[None]:
    """All that goes over loopback."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PACKETS)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        wire.bind(("lo", 0))
        wire.settimeout(0.1)
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                try:
                    seen.extend(wire.recv(1 << 17))
                except TimeoutError:
                    continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def samples_of(node: int) -> list[bytes]:
    """Two numbers of each sample, as they lie in memory."""
    chance = torch.Generator().manual_seed(1000 + node)
    rows = torch.rand(ROWS, 4, generator=chance, dtype=torch.float64).float()
    return [row.numpy().tobytes()[:8] for row in rows]


def test_no_sample_goes_over_the_wire(tmp_path: Path) -> None:
    """Nor with the state that a newcomer gets, which is sealed there: it is looked at in checkpoints."""
    seen = bytearray()
    try:
        with watched(seen), running(tmp_path, PROGRAM, pause=0.05, later="d") as group:
            newcomer = group.called("d")
            group.until(lambda: group.committed() >= 6)
            group.join(newcomer)
            end_alike(group)
    except PermissionError:
        pytest.skip("packets are for root to see")
    assert struct.pack("d", WITNESS) in seen
    kept = [path.read_bytes() for path in tmp_path.glob("checkpoints/**/*") if path.is_file()]
    for node in range(4):
        for sample in samples_of(node):
            assert sample not in seen
            assert not any(sample in state for state in kept)
    assert kept
