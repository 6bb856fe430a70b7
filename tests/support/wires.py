"""Namespaces joined by the lab's router, whose links can be cut in part: no cluster, only links."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from edgelab import network, shaping
from edgelab.addresses import Block
from edgelab.barriers import Cut, nft_rules
from edgelab.rates import parse_link


@dataclass(frozen=True)
class Wires:
    """Nodes by name; `cloud` is in the cloud."""

    lab: str
    block: Block
    numbers: dict[str, int]

    def namespace(self, node: str) -> str:
        return network.netns(self.lab, node)

    def address(self, node: str) -> str:
        return str(self.block.node(self.numbers[node]))

    def command(self, node: str, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace(node), *argv]

    def bar(self, *cuts: Cut, partitions: Sequence[Sequence[str]] = (), offline: Sequence[str] = ()) -> None:
        """Cut so, and no more as before."""
        links = {name: network.port(number) for name, number in self.numbers.items()}
        cloud = [*network.CLOUD_PORTS, *(links[name] for name in links if name == "cloud")]
        network.set_rules(self.lab, nft_rules(partitions, offline, cuts, links, cloud))

    def shape(self, node: str, rate: str) -> None:
        """Such as 5mbit or 5mbit-20ms, both ways; from node to node a packet passes two links."""
        shaping.shape(self.lab, self.block, node, self.numbers[node], parse_link(rate))


def can_wire() -> bool:
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ip", "nft"))


@contextmanager
def wired(*names: str) -> Iterator[Wires]:
    """Needs root. Everything it makes carries a random name and is gone afterwards."""
    lab = f"wires-{secrets.token_hex(3)}"
    block = network.claim_block(lab)
    try:
        numbers = {name: number for number, name in enumerate(names, 1)}
        for name, number in numbers.items():
            network.add_node(lab, block, name, number)
        yield Wires(lab, block, numbers)
    finally:
        network.remove_host_device(lab)
        for namespace in network.lab_namespaces(lab):
            network.remove_namespace(namespace)
