"""What people write for a lab: taken as meant, or refused with a word on how to write it."""

from ipaddress import IPv4Network
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgelab.addresses import BLOCKS, MAX_NODES, RANGE, Block
from edgelab.config import check_lab_name, edge_nodes, make_node, parse_label, read_config
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgelab.rates import Link, parse_cpu, parse_link


def test_images_are_chosen_by_file_environment_and_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGELAB_IMAGES", raising=False)
    assert edge_nodes(1).images == "thin"
    monkeypatch.setenv("EDGELAB_IMAGES", "real")
    assert edge_nodes(1).images == "real"
    assert edge_nodes(1).running("thin").images == "thin"
    assert edge_nodes(1).running(None).images == "real"
    (tmp_path / "lab.yaml").write_text("nodes: []\nimages: thin\n")
    assert read_config(tmp_path / "lab.yaml").images == "thin"
    monkeypatch.setenv("EDGELAB_IMAGES", "fat")
    with pytest.raises(LabError, match="'fat': it may be thin or real"):
        edge_nodes(1)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("50mbit", Link(50_000_000)),
        ("0.5Gbit", Link(500_000_000)),
        ("500kbit", Link(500_000)),
        ("20mbit-30ms-1.5%", Link(20_000_000, delay=30, loss=1.5)),
    ],
)
def test_link_is_read(text: str, link: Link) -> None:
    assert parse_link(text) == link


@given(st.integers(100, 10_000_000), st.integers(0, 500), st.integers(0, 99))
def test_link_is_read_as_it_is_shown(kilobits: int, delay: int, loss: int) -> None:
    link = Link(kilobits * 1000, delay, loss)
    shown = parse_link(str(link))
    assert shown.bits == pytest.approx(link.bits, rel=1e-5)
    assert (shown.delay, shown.loss) == (delay, loss)


@pytest.mark.parametrize(
    "text", ["", "fast", "50", "-5mbit", "1kbit", "900gbit", "5mbit-", "5mbit-3", "5mbit-100%"]
)
def test_nonsense_link_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(LabError, match=f"^'{text}'|in '{text}'"):
        parse_link(text)


def test_bucket_never_holds_more_than_some_milliseconds_or_packets() -> None:
    for bits in (10**5, 10**7, 10**9):
        burst = parse_link(f"{bits // 1000}kbit").burst
        assert burst <= max(5_000, bits / 8 * 0.01)
        assert burst >= 2 * 1514, "a packet that never fits never leaves"


@pytest.mark.parametrize(("text", "cores"), [("0.5", 0.5), ("500m", 0.5), (2, 2.0)])
def test_processor_is_read(text: str | float, cores: float) -> None:
    assert parse_cpu(text) == cores


@pytest.mark.parametrize("text", ["", "half", "0", "-1", "10m", "nan", "1e9"])
def test_nonsense_processor_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="write"):
        parse_cpu(text)


@pytest.mark.parametrize("name", ["", "Lab", "a.b", "-a", "a_b", "a" * 25, "../x"])
def test_lab_name_that_would_not_do_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="lab name"):
        Lab(name)


def test_longest_lab_name_is_taken() -> None:
    assert check_lab_name("a" * 24) == "a" * 24


@pytest.mark.parametrize("name", ["hub", "control-plane", "cloudcore", "Edge", "e" * 41])
def test_node_name_that_would_not_do_is_refused(name: str) -> None:
    with pytest.raises(LabError):
        make_node(name=name)


@pytest.mark.parametrize("text", ["novalue", "=x", "a b=c", "a=b c", "a=" + "x" * 64])
def test_label_that_kubernetes_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="key=value"):
        parse_label(text)


def test_config_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(
        "nodes: [{name: a, kind: cloud}, {name: b, link: 5mbit, cpu: 500m, site: x, labels: {k: v}}]"
    )
    cloud, edge = read_config(file).nodes

    assert cloud.node_labels() == {"kubernetes.io/hostname": "a", "node-role.kubernetes.io/cloud": ""}
    assert edge.cpu == 0.5
    assert edge.node_labels()["edgetrain.io/link"] == "5mbit"
    assert edge.node_labels()["k"] == "v"


def test_kubeedges_node_has_both_roles_that_cloudcore_looks_for() -> None:
    roles = {label for label in make_node(name="a", kind="kubeedge").node_labels() if "node-role" in label}
    assert roles == {"node-role.kubernetes.io/edge", "node-role.kubernetes.io/agent"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nodes: [{name: a}, {name: a}]", "two nodes are called 'a'"),
        ("nodes: [{name: a, speed: 3}]", "nodes.0.speed"),
        ("nodes: [{name: a, link: x}]", "'x' is no link"),
        ("nodes: [{name: a, kind: fog}]", "nodes.0.kind"),
        ("nodes: {", "cannot read"),
        ("nodes: [{name: a, labels: {x: 'a b'}}]", "is no label"),
        ("{}", "nodes: Field required"),
        ("nodes: [{name: 3}]", "3 is no node name"),
    ],
)
def test_config_file_that_would_not_do_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(content)
    with pytest.raises(LabError, match=complaint):
        read_config(file)


def test_more_nodes_than_addresses_are_refused() -> None:
    with pytest.raises(LabError, match="a lab holds 0 to 30"):
        edge_nodes(MAX_NODES + 1)


def test_no_two_labs_and_no_two_uses_share_an_address() -> None:
    blocks = [Block(index) for index in range(BLOCKS)]
    assert all(a.network.broadcast_address < b.network.network_address for a, b in pairwise(blocks))
    assert all(block.network.subnet_of(RANGE) for block in blocks)
    block = blocks[-1]
    nodes = range(1, MAX_NODES + 1)
    networks = [block.services, *(block.pods(n) for n in nodes)]
    machines = [block.hub, block.control_plane, block.host, block.cloudcore, *(block.node(n) for n in nodes)]
    assert len(set(machines)) == len(machines)
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2))
    assert not any(address in network for address in machines for network in networks)
    assert all(IPv4Network(address).subnet_of(block.network) for address in machines)
