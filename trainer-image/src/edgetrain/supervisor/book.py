"""Where members are to be found, and who dials whom."""

import ipaddress
from collections.abc import Iterable

from edgetrain.group.members import Pod
from edgetrain.link import Peer
from edgetrain.supervisor.settings import Settings
from edgetrain_protocol.plan import Member


def dials_first(own: Pod, address: str, other: Pod, its_address: str) -> bool:
    """Whether we dial of the two: where our address is greater; of equal ones the smaller name does."""
    return (_in_order(address), other.worker) > (_in_order(its_address), own.worker)


def _in_order(address: str) -> bytes:
    """As Gloo compares addresses; what is none is less than any."""
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return b""


class Book:
    """All whom any plan has named: a formation may outlive its plan."""

    def __init__(self, own: Settings) -> None:
        self._own = own
        self._members: dict[str, Member] = {}

    def note(self, members: Iterable[Member]) -> None:
        self._members |= {member.worker: member for member in members}

    def find(self, worker: str) -> Member | None:
        return self._members.get(worker)

    def control_addresses(self, pods: Iterable[Pod]) -> dict[Pod, tuple[str, int]]:
        """Host and port of the supervisors that are known of these."""
        found = {pod: self.find(pod.worker) for pod in pods}
        return {pod: (m.address, m.control_port) for pod, m in found.items() if m}

    def peer(self, worker: str, comes_from: str = "") -> Peer:
        """As the trainer dials it, or as it is dialled where it is our own."""
        known, own = self.find(worker), self._own
        site = known.site if known else ""
        if worker == own.worker:
            return Peer(worker, own.address, own.state_port, site)
        address, port = (known.address, known.state_port) if known else ("", 0)
        return Peer(worker, address, port, site, comes_from)
