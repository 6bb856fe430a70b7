"""What the lab's router drops: real packets between namespaces, of each size and each way, no cluster."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from edgelab import network
from edgelab.addresses import Block
from edgelab.barriers import Content, Cut, nft_rules
from edgelab.errors import LabError
from edgetrain_protocol.names import CONTROL_PORT

LAB = f"test-{os.getpid()}-bars"
NODES = {"one": 1, "two": 2, "three": 3, "cloud": 4}
LINKS = {name: network.port(number) for name, number in NODES.items()}
CLOUD = [*network.CLOUD_PORTS, LINKS["cloud"]]
DATA_PORT = 7999
HEADERS = 28
"""Of IP and UDP, which count as part of a packet's size."""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

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
def heard() -> Iterator[Heard]:
    """Whether a packet of this many bytes comes from one node to another."""
    block = network.claim_block(LAB)
    try:
        for name, number in NODES.items():
            network.add_node(LAB, block, name, number, None)
        yield lambda source, target, **given: _heard(block, source, target, **given)
    finally:
        network.remove_host_device(LAB)
        for namespace in network.lab_namespaces(LAB):
            network.remove_namespace(namespace)


def _heard(block: Block, source: str, target: str, size: int = 100, port: int = DATA_PORT) -> bool:
    to = [str(block.node(NODES[target])), str(port)]
    with subprocess.Popen(_on(target, _LISTEN, *to), stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout
        assert listener.stdout.readline() == "listening\n"
        subprocess.run(_on(source, _SEND, *to, str(size - HEADERS)), check=True)
        return listener.stdout.readline().strip() == str(size - HEADERS)


def _on(node: str, program: str, *arguments: str) -> list[str]:
    return ["ip", "netns", "exec", network.netns(LAB, node), sys.executable, "-c", program, *arguments]


def _bar(*cuts: Cut, partitions: list[list[str]] | None = None, offline: tuple[str, ...] = ()) -> None:
    network.set_rules(LAB, nft_rules(partitions or [], offline, cuts, LINKS, CLOUD))


def test_one_way_is_lost_and_the_other_is_not(heard: Heard) -> None:
    _bar(Cut(node="one", peer="two", way="out"))
    assert not heard("one", "two")
    assert heard("two", "one")
    assert heard("one", "three")
    _bar(Cut(node="one", way="in"))
    assert not heard("two", "one")
    assert not heard("three", "one")
    assert heard("one", "two")
    assert heard("cloud", "one"), "the cloud is not meant unless it is named"
    _bar(Cut(node="one", peer="cloud"))
    assert not heard("cloud", "one")
    assert not heard("one", "cloud")


def test_large_packets_are_lost_and_small_ones_are_not(heard: Heard) -> None:
    _bar(Cut(node="one", above=600))
    for source, target in (("one", "two"), ("two", "one")):
        assert heard(source, target, size=600)
        assert not heard(source, target, size=601)
    assert heard("one", "cloud", size=1400)
    assert heard("two", "three", size=1400)


@pytest.mark.parametrize(
    ("only", "lost", "kept"), [("control", CONTROL_PORT, DATA_PORT), ("data", DATA_PORT, CONTROL_PORT)]
)
def test_control_and_data_are_told_apart_by_their_port(
    heard: Heard, only: Content, lost: int, kept: int
) -> None:
    _bar(Cut(node="one", peer="two", only=only))
    for source, target in (("one", "two"), ("two", "one")):
        assert not heard(source, target, port=lost)
        assert heard(source, target, port=kept)


def test_cuts_add_up_beside_partitions_and_end(heard: Heard) -> None:
    _bar(Cut(node="one", peer="two", way="out", above=600), partitions=[["three"]], offline=("two",))
    assert heard("one", "two")
    assert not heard("one", "two", size=1400)
    assert not heard("three", "one")
    assert not heard("two", "cloud")
    _bar()
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
