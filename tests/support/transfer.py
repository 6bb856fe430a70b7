"""Bytes between two nodes of the lab, sent from inside their namespaces."""

import select
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.waiting import wait_for
from edgelab import machines, network
from edgelab.lab import Lab

_PORT = 5001

# The first tenth is not counted: it runs while the line's buckets are full and the sender's window is not.
_SINK = """
import socket, sys, time
connection, _ = socket.create_server(("0.0.0.0", int(sys.argv[1]))).accept()
received, begun, total = 0, None, int(sys.argv[2])
while data := connection.recv(1 << 18):
    received += len(data)
    if begun is None and received >= total // 10:
        begun, skipped = time.monotonic(), received
print((received - skipped) * 8 / (time.monotonic() - begun) / 1e6)
"""
_SOURCE = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
connection.sendall(bytes(int(sys.argv[3])))
"""
_HOLD = """
import socket, sys
connection, _ = socket.create_server(("0.0.0.0", int(sys.argv[1]))).accept()
connection.recv(1)
"""


def megabits_per_second(lab: Lab, source: str, sink: str, expected: float, seconds: float = 2.0) -> float:
    """TCP payload rate from node to node, sending what `expected` Mbit/s would carry in `seconds`."""
    total = int(expected * 1e6 / 8 * seconds)
    done: list[subprocess.CompletedProcess[str]] = []
    argv = ["python3", "-c", _SINK, str(_PORT), str(total)]
    receiver = threading.Thread(target=lambda: done.append(lab.exec_on(sink, argv)))
    receiver.start()
    wait_for(lambda: _listens(lab, sink))
    sent = lab.exec_on(source, ["python3", "-c", _SOURCE, lab.address(sink), str(_PORT), str(total)])
    assert sent.returncode == 0, sent.stderr
    receiver.join()
    assert done[0].returncode == 0, done[0].stderr
    return float(done[0].stdout)


@dataclass
class Connection:
    """The near end of a connection that is open and idle."""

    end: subprocess.Popen[bytes]

    def news(self, seconds: float) -> str:
        """`silence`, or `closed` where the far end said so within this time."""
        assert self.end.stdout
        heard, _, _ = select.select([self.end.stdout], [], [], seconds)
        return "closed" if heard else "silence"


_LISTEN = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("open", flush=True)
try:
    connection.recv(1)
finally:
    print("closed", flush=True)
"""


@contextmanager
def open_connection(lab: Lab, near: str, far: str) -> Iterator[Connection]:
    """A connection between two nodes, established; nothing is ever sent over it."""
    holding = _run(lab, far, ["python3", "-c", _HOLD, str(_PORT)])
    wait_for(lambda: _listens(lab, far))
    end = _run(lab, near, ["python3", "-c", _LISTEN, lab.address(far), str(_PORT)])
    assert end.stdout and end.stdout.readline() == b"open\n"
    try:
        yield Connection(end)
    finally:
        for process in (end, holding):
            process.kill()
            process.communicate()


def _run(lab: Lab, node: str, argv: list[str]) -> subprocess.Popen[bytes]:
    first = machines.first_process(network.netns(lab.name, node))
    assert first is not None
    words = list(map(str, machines.entering(first, argv)))
    return subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)


def _listens(lab: Lab, node: str) -> bool:
    return f":{_PORT}" in lab.exec_on(node, ["ss", "-Hltn"]).stdout
