"""What the lab's router drops: real packets between namespaces, of each size and each way, no cluster."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from edgelab.barriers import Content, Cut
from edgelab.errors import LabError
from edgetrain_protocol.names import CONTROL_PORT
from tests.support.wires import Wires, can_wire, wired

DATA_PORT = 7999
HEADERS = 28
"""Of IP and UDP, which count as part of a packet's size."""
pytestmark = pytest.mark.skipif(not can_wire(), reason="network namespaces need root")

Heard = Callable[..., bool]

_LISTEN = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind((sys.argv[1], int(sys.argv[2])))
    sock.settimeout(0.5)
    print("listening", flush=True)
    try:
        print(len(sock.recv(65536)))
    except TimeoutError:
        print(0)
"""
_SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto(bytes(int(sys.argv[3])), (sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with wired("one", "two", "three", "cloud") as joined:
        yield joined


@pytest.fixture
def heard(wires: Wires) -> Heard:
    """Whether a packet of this many bytes comes from one node to another."""

    def heard(source: str, target: str, size: int = 100, port: int = DATA_PORT) -> bool:
        to = [wires.address(target), str(port)]
        listen = wires.command(target, sys.executable, "-c", _LISTEN, *to)
        with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout
            assert listener.stdout.readline() == "listening\n"
            send = wires.command(source, sys.executable, "-c", _SEND, *to, str(size - HEADERS))
            subprocess.run(send, check=True)
            return listener.stdout.readline().strip() == str(size - HEADERS)

    return heard


def test_one_way_is_lost_and_the_other_is_not(wires: Wires, heard: Heard) -> None:
    wires.bar(Cut(node="one", peer="two", way="out"))
    assert not heard("one", "two")
    assert heard("two", "one")
    assert heard("one", "three")
    wires.bar(Cut(node="one", way="in"))
    assert not heard("two", "one")
    assert not heard("three", "one")
    assert heard("one", "two")
    assert heard("cloud", "one"), "the cloud is not meant unless it is named"
    wires.bar(Cut(node="one", peer="cloud"))
    assert not heard("cloud", "one")
    assert not heard("one", "cloud")


def test_large_packets_are_lost_and_small_ones_are_not(wires: Wires, heard: Heard) -> None:
    wires.bar(Cut(node="one", above=600))
    for source, target in (("one", "two"), ("two", "one")):
        assert heard(source, target, size=600)
        assert not heard(source, target, size=601)
    assert heard("one", "cloud", size=1400)
    assert heard("two", "three", size=1400)


@pytest.mark.parametrize(
    ("only", "lost", "kept"), [("control", CONTROL_PORT, DATA_PORT), ("data", DATA_PORT, CONTROL_PORT)]
)
def test_control_and_data_are_told_apart_by_their_port(
    wires: Wires, heard: Heard, only: Content, lost: int, kept: int
) -> None:
    wires.bar(Cut(node="one", peer="two", only=only))
    for source, target in (("one", "two"), ("two", "one")):
        assert not heard(source, target, port=lost)
        assert heard(source, target, port=kept)


_ACCEPT = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:
    listener.settimeout(2)
    print("listening", flush=True)
    try:
        connection, _ = listener.accept()
        connection.sendall(b"both ways" + connection.recv(99))
    except TimeoutError:
        pass
"""
_CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5) as connection:
    connection.sendall(b"!")
    print(connection.recv(99).decode())
"""


def test_who_lets_no_calls_in_calls_others_and_is_answered(wires: Wires) -> None:
    def called(source: str, target: str) -> bool:
        to = [wires.address(target), str(DATA_PORT)]
        listen = wires.command(target, sys.executable, "-c", _ACCEPT, *to)
        with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout and listener.stdout.readline() == "listening\n"
            call = wires.command(source, sys.executable, "-c", _CALL, *to)
            said = subprocess.run(call, capture_output=True, text=True, check=False).stdout
            return "both ways!" in said

    wires.bar(Cut(node="one", way="in", only="calls"))
    assert not called("two", "one")
    assert called("one", "two")
    assert called("cloud", "one")


def test_cuts_add_up_beside_partitions_and_end(wires: Wires, heard: Heard) -> None:
    wires.bar(Cut(node="one", peer="two", way="out", above=600), partitions=[["three"]], offline=["two"])
    assert heard("one", "two")
    assert not heard("one", "two", size=1400)
    assert not heard("three", "one")
    assert not heard("two", "cloud")
    wires.bar()
    assert heard("one", "two", size=1400)
    assert heard("three", "one")
    assert heard("two", "cloud")


@pytest.mark.parametrize(
    ("cut", "complaint"),
    [({"peer": "one"}, "'one' cannot be cut off from itself"), ({"above": 0}, "write a size such as 600")],
)
def test_cut_that_cuts_nothing_is_refused(cut: dict[str, object], complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        Cut.model_validate({"node": "one"} | cut)
