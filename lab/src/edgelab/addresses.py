"""Which addresses a lab uses. Pure.

All lie in 198.18.0.0/15, set aside for benchmarks (RFC 2544), so that no network that the machine can
reach is hidden. Each lab takes a block of 32 networks of 256 addresses: one for hub, control plane and
nodes, one for each node's pods, the last for Services.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

RANGE = IPv4Network("198.18.0.0/15")
BLOCK_PREFIX = 19
BLOCKS = 2 ** (BLOCK_PREFIX - RANGE.prefixlen)
MAX_NODES = 30

_HUB, _CONTROL_PLANE, _HOST, _CLOUDCORE, _FIRST_NODE = 1, 2, 3, 4, 10


@dataclass(frozen=True)
class Block:
    """The addresses of the lab that holds block `index` (0 to BLOCKS - 1)."""

    index: int

    @property
    def network(self) -> IPv4Network:
        return list(RANGE.subnets(new_prefix=BLOCK_PREFIX))[self.index]

    @property
    def hub(self) -> IPv4Address:
        return self.network[_HUB]

    @property
    def control_plane(self) -> IPv4Address:
        return self.network[_CONTROL_PLANE]

    @property
    def host(self) -> IPv4Address:
        """The machine's own end, from which kubectl, helm and tests reach the lab."""
        return self.network[_HOST]

    @property
    def cloudcore(self) -> IPv4Address:
        """Where KubeEdge's nodes find their cloud."""
        return self.network[_CLOUDCORE]

    @property
    def services(self) -> IPv4Network:
        return self._part(MAX_NODES + 1)

    @property
    def host_device(self) -> str:
        """Name of the machine's own end: also what claims the block, as no two devices share a name."""
        return f"edgelab{self.index}"

    def node(self, number: int) -> IPv4Address:
        """Address of node `number` (1 to MAX_NODES)."""
        return self.network[_FIRST_NODE + number]

    def pods(self, number: int) -> IPv4Network:
        """Where node `number` takes its pods' addresses from."""
        return self._part(number)

    def _part(self, number: int) -> IPv4Network:
        return list(self.network.subnets(new_prefix=24))[number]
