"""What a node's link is like, by real packets between namespaces: no cluster."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.waiting import wait_for
from tests.support.leftovers import everything_of
from tests.support.wires import Wires, can_wire, wired

pytestmark = pytest.mark.skipif(not can_wire(), reason="network namespaces need root")

DELAY = 0.020
ROUND_TRIP = 2 * DELAY
"""Of the link with a delay alone; the other has none."""
ASKED = 200

_ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("", 7999))
    print("listening", flush=True)
    while True:
        sock.sendto(*sock.recvfrom(64))
"""
_ASK = """
import json, socket, struct, sys, time
wanted, sent, took = int(sys.argv[2]), 0, []
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.connect((sys.argv[1], 7999))
    quiet = time.monotonic() + 1
    while len(took) < wanted and time.monotonic() < quiet:
        if sent < wanted:
            sock.send(struct.pack("d", time.monotonic()))
            sent, quiet = sent + 1, time.monotonic() + 1
        sock.settimeout(0.001)
        try:
            begun, = struct.unpack("d", sock.recv(64))
            took.append(time.monotonic() - begun)
        except TimeoutError:
            pass
print(json.dumps(took))
"""

Ask = Callable[[], list[float]]


@contextmanager
def echoing(wires: Wires) -> Iterator[Ask]:
    """Seconds of each round trip from one to the other, of those that came back."""
    with subprocess.Popen(wires.command("far", sys.executable, "-c", _ECHO), stdout=subprocess.PIPE) as echo:
        assert echo.stdout and echo.stdout.readline()

        def ask() -> list[float]:
            command = wires.command("near", sys.executable, "-c", _ASK, wires.address("far"), str(ASKED))
            took: list[float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            return took

        try:
            yield ask
        finally:
            echo.kill()


def test_a_link_is_made_late_and_lossy_and_plain_again() -> None:
    with wired("near", "far") as wires, echoing(wires) as ask:
        wires.shape("near", "100mbit-20ms")
        took = ask()
        assert len(took) == ASKED and ROUND_TRIP <= min(took) < 1.5 * ROUND_TRIP
        wires.shape("near", "100mbit-20ms-30%")
        assert 0.3 < len(ask()) / ASKED < 0.7  # there and back: about half
        wires.shape("near", "100mbit")
        took = ask()
        assert len(took) == ASKED and min(took) < DELAY


def test_nothing_is_left_of_a_link_with_a_delay() -> None:
    with wired("near", "far") as wires:
        wires.shape("near", "100mbit-20ms")
        assert everything_of(wires.lab)
    wait_for(lambda: not everything_of(wires.lab), 10, lambda: str(everything_of(wires.lab)))
