"""The lab's network: one namespace per machine, a router between them.

The hub is a namespace of its own that routes between point-to-point links, one for each node, one for the
control plane and one for this machine. There is no bridge: all that passes between two nodes passes the
hub's forward hook, so that a partition is one rule there, and adding a node changes no other node.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgelab.addresses import BLOCKS, Block
from edgelab.config import CLOUDCORE, CONTROL_PLANE
from edgelab.errors import LabError
from edgelab.shell import Argument, run, succeeds

NETNS_DIRECTORY = Path("/run/netns")
NODE_DEVICE = "eth0"
CONTROL_PLANE_PORT = "control"
_CLOUDCORE_PORT = "cloudcore"
_HOST_PORT = "host"
CLOUD_PORTS = (CONTROL_PLANE_PORT, _CLOUDCORE_PORT, _HOST_PORT)
"""The hub's ends of all links that are no node's."""


@dataclass(frozen=True)
class LinkBytes:
    """What a node's link has carried since the node was started, seen from the node."""

    sent: int
    received: int


def netns(lab: str, member: str | None = None) -> str:
    """Name of a member's network namespace; the hub's without one. A dot is in neither kind of name."""
    return f"edgelab.{lab}" + (f".{member}" if member else "")


def lab_namespaces(lab: str) -> list[str]:
    """All namespaces of this lab that exist, whoever made them; the hub's last."""
    prefix = netns(lab)
    names = [
        p.name
        for p in NETNS_DIRECTORY.glob("edgelab.*")
        if p.name == prefix or p.name.startswith(f"{prefix}.")
    ]
    return sorted(names, reverse=True)


def labs_present() -> list[str]:
    """Names of all labs that have a namespace on this machine."""
    return sorted({p.name.split(".")[1] for p in NETNS_DIRECTORY.glob("edgelab.*")})


def port(number: int) -> str:
    """Name of the hub's end of node `number`'s link."""
    return f"n{number}"


def claim_block(lab: str) -> Block:
    """Make the hub and this machine's link to it, in the first free block of addresses.

    Raises:
        LabError: the lab exists, or every block is taken.
    """
    hub = netns(lab)
    run(["ip", "netns", "add", hub])
    _enter(hub, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0")
    _ip(hub, "link", "set", "lo", "up")
    for block in map(Block, range(BLOCKS)):
        if _claim(lab, block):
            _address_hub(hub, block)
            return block
    run(["ip", "netns", "del", hub])
    raise LabError(
        f"all {BLOCKS} blocks of addresses are taken: end another lab with `edgelab down --name LAB`"
    )


def host_device(lab: str) -> str | None:
    """This machine's end of its link to the lab, found by the lab's name alone."""
    for device in json.loads(run(["ip", "-json", "link", "show"])):
        if device.get("ifalias") == netns(lab):
            return str(device["ifname"])
    return None


def add_control_plane(lab: str, block: Block) -> None:
    """The control plane's namespace and its link, which is not shaped."""
    _connect(lab, block, CONTROL_PLANE, CONTROL_PLANE_PORT, str(block.control_plane))


def add_cloudcore(lab: str, block: Block) -> None:
    """The namespace of KubeEdge's half in the cloud, and its link, which is not shaped."""
    _remove(lab, CLOUDCORE, _CLOUDCORE_PORT)
    _connect(lab, block, CLOUDCORE, _CLOUDCORE_PORT, str(block.cloudcore))


def add_node(lab: str, block: Block, node: str, number: int) -> None:
    """A node's namespace, its link, which is not shaped, and the way to its pods."""
    _plug(lab, node, port(number))
    lead_to_node(lab, block, node, number)


def lead_to_node(lab: str, block: Block, node: str, number: int) -> None:
    """Give both ends of a node's link their addresses and ways: it has been made, perhaps anew."""
    address = str(block.node(number))
    _address(lab, block, node, port(number), address)
    way = ["via", address, "dev", port(number), "onlink"]
    _ip(netns(lab), "route", "replace", str(block.pods(number)), *way)


def wire(own: str, hub: str, hub_port: str) -> None:
    """Between a member's namespace and the hub's."""
    ends = ["name", hub_port, "netns", hub, "type", "veth", "peer", "name", NODE_DEVICE, "netns", own]
    run(["ip", "link", "add", *ends])


def silence(lab: str, number: int) -> None:
    """Silence a node. Must come before its processes die, as the kernel closes their sockets aloud."""
    succeeds(["ip", "-n", netns(lab), "link", "set", "dev", port(number), "down"])


def remove_node(lab: str, node: str, number: int) -> None:
    """Remove a node's link and namespace. Nothing happens where they are gone already."""
    _remove(lab, node, port(number))


def remove_namespace(name: str) -> None:
    """Remove a namespace. Nothing happens where it is gone already."""
    if (NETNS_DIRECTORY / name).exists():
        run(["ip", "netns", "del", name])


def remove_host_device(lab: str) -> None:
    """Remove this machine's end, and with it every route to the lab."""
    if device := host_device(lab):
        succeeds(["ip", "link", "del", "dev", device])


def link_bytes(lab: str, number: int) -> LinkBytes:
    """Counters of a node's link, read at the hub."""
    shown = json.loads(_ip(netns(lab), "-json", "-statistics", "link", "show", "dev", port(number)))
    counted = shown[0]["stats64"]
    return LinkBytes(sent=counted["rx"]["bytes"], received=counted["tx"]["bytes"])


def set_rules(lab: str, rules: Iterable[str]) -> None:
    """Let these, of nft's language, say what does not pass the hub, in the place of those before."""
    _enter(netns(lab), "nft", "-f", "-", stdin=_RULES.format(rules="\n    ".join(rules)))


# An empty table is declared before it is deleted, as deleting one that is not there is an error.
_RULES = """
table inet edgelab {{}}
delete table inet edgelab
table inet edgelab {{
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {rules}
  }}
}}
"""


def _remove(lab: str, member: str, hub_port: str) -> None:
    # By itself the link would go with its namespace, but some time later: its name would still be taken.
    succeeds(["ip", "-n", netns(lab), "link", "del", "dev", hub_port])
    remove_namespace(netns(lab, member))


def _claim(lab: str, block: Block) -> bool:
    device = block.host_device
    make = [
        "ip",
        "link",
        "add",
        "name",
        device,
        "type",
        "veth",
        "peer",
        "name",
        _HOST_PORT,
        "netns",
        netns(lab),
    ]
    if not succeeds(make):
        return False
    run(["ip", "link", "set", "dev", device, "alias", netns(lab)])
    run(["ip", "address", "add", f"{block.host}/32", "dev", device])
    run(["ip", "link", "set", "dev", device, "up"])
    run(["ip", "route", "add", str(block.network), "via", str(block.hub), "dev", device, "onlink"])
    return True


def _address_hub(hub: str, block: Block) -> None:
    # What has no way (a node that is off) vanishes without a word: no ICMP tells its peers.
    _ip(hub, "route", "add", "blackhole", str(block.network))
    _open_port(hub, block, _HOST_PORT, str(block.host))


def _connect(lab: str, block: Block, member: str, hub_port: str, address: str) -> None:
    _plug(lab, member, hub_port)
    _address(lab, block, member, hub_port, address)


def _plug(lab: str, member: str, hub_port: str) -> None:
    """A namespace, and a link to the hub's."""
    run(["ip", "netns", "add", netns(lab, member)])
    wire(netns(lab, member), netns(lab), hub_port)


def _address(lab: str, block: Block, member: str, hub_port: str, address: str) -> None:
    own, hub = netns(lab, member), netns(lab)
    _ip(own, "link", "set", "lo", "up")
    _ip(own, "address", "add", f"{address}/32", "dev", NODE_DEVICE)
    _ip(own, "link", "set", "dev", NODE_DEVICE, "up")
    _ip(own, "route", "add", "default", "via", str(block.hub), "dev", NODE_DEVICE, "onlink")
    _open_port(hub, block, hub_port, address)


def _open_port(hub: str, block: Block, hub_port: str, address: str) -> None:
    _ip(hub, "address", "add", f"{block.hub}/32", "dev", hub_port)
    _ip(hub, "link", "set", "dev", hub_port, "up")
    _ip(hub, "route", "add", f"{address}/32", "dev", hub_port)


def _ip(namespace: str, *arguments: str) -> str:
    return run(["ip", "-n", namespace, *arguments])


def _enter(namespace: str, *argv: Argument, stdin: str | None = None) -> str:
    return run(["nsenter", f"--net={NETNS_DIRECTORY / namespace}", *argv], stdin=stdin)
