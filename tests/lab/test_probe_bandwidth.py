"""Probes over links shaped by the kernel, in network namespaces and without a cluster."""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from tests.support.shaped import Host, can_shape, hosts, probing, served

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not can_shape(), reason="needs root, ip and tc: network namespaces with shaped links"),
]


def rate_of(host: Host, peers: Sequence[Host], known: Mapping[str, float] | None = None) -> float:
    """The median of three probes in Mbit/s: these links and their ends share one machine with the tests."""
    return statistics.median(m["bitsPerSecond"] for m in probing(host, peers, known, times=3)) / 1e6


@pytest.mark.parametrize("mbit", [5, 20, 100, 1000])
def test_shaped_rate_is_measured_within_a_tenth(mbit: int) -> None:
    with hosts({"near": mbit, "far": 1000}) as at, served(at["far"]):
        assert rate_of(at["near"], [at["far"]]) == pytest.approx(mbit, rel=0.1)


def test_what_the_link_needs_is_remembered() -> None:
    with hosts({"near": 200, "far": 1000}) as at, served(at["far"]):
        first, second = probing(at["near"], [at["far"]], times=2)
    assert second["bytes"] < first["bytes"]
    assert second["roundTripSeconds"] < 0.01


@pytest.mark.parametrize(("down", "up"), [(50, 5), (5, 50)])
def test_slower_direction_counts(down: int, up: int) -> None:
    with hosts({"near": 50, "far": 1000}) as at, served(at["far"]):
        at["near"].shape(up, down)
        measured = rate_of(at["near"], [at["far"]])
    assert measured == pytest.approx(5, rel=0.1)


def test_a_large_token_bucket_does_not_shine() -> None:
    with hosts({"near": 5, "far": 1000}) as at, served(at["far"]):
        at["near"].shape(5, bucket=100 << 10)
        measured = rate_of(at["near"], [at["far"]])
    assert measured == pytest.approx(5, rel=0.1)


def test_fastest_node_is_measured_against_several_at_once() -> None:
    rates = {"hub": 100, "b": 50, "c": 20, "d": 20, "e": 10}
    with hosts(rates) as at, served(*(at[name] for name in "bcde")):
        alone = rate_of(at["hub"], [at["b"]])
        joint = rate_of(at["hub"], [at[name] for name in "bcde"], known=rates)
    assert alone == pytest.approx(50, rel=0.1)
    assert joint == pytest.approx(100, rel=0.15)


def test_node_that_is_the_limit_of_a_joint_probe_gets_its_own_rate() -> None:
    rates = {"hub": 100, "b": 50, "c": 20}
    with hosts(rates) as at, served(at["hub"], at["c"]):
        joint = rate_of(at["b"], [at["hub"], at["c"]], known=rates)
    assert joint == pytest.approx(50, rel=0.15)


def test_other_traffic_is_added() -> None:
    """A busy link has room for half a probe; its capacity is what both carry."""
    links = {"near": 50.0, "far": 1000.0, "other": 1000.0}
    with hosts(links) as at, served(at["far"]), streaming(at["other"], at["near"]):
        measured = rate_of(at["near"], [at["far"]])
    assert measured == pytest.approx(50, rel=0.2)


@contextmanager
def streaming(sender: Host, receiver: Host) -> Iterator[None]:
    """Another exchange, over the receiver's downlink and uplink at once, as fast as they let it."""
    code = """
import socket, sys, threading
def push(s):
    try:
        while True: s.sendall(bytes(65536))
    except OSError: pass
if sys.argv[1] == "-":
    listener = socket.create_server(("", 9000)); print("ready", flush=True); s = listener.accept()[0]
else:
    s = socket.create_connection((sys.argv[1], 9000)); print("ready", flush=True)
threading.Thread(target=push, args=(s,), daemon=True).start()
while s.recv(65536): pass
"""
    processes = []
    try:
        for host, peer in ((receiver, "-"), (sender, receiver.address)):
            command = host.command(sys.executable, "-c", code, peer)
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert processes[-1].stdout and processes[-1].stdout.readline() == "ready\n"
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
