"""Bytes that an interface has carried, from /sys/class/net."""

import fcntl
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

NET = Path("/sys/class/net")
SIOCGIFADDR = 0x8915


@dataclass(frozen=True)
class CarriedBytes:
    """Totals since the interface came up."""

    received: int
    sent: int

    def __sub__(self, earlier: "CarriedBytes") -> "CarriedBytes":
        return CarriedBytes(max(0, self.received - earlier.received), max(0, self.sent - earlier.sent))


@dataclass(frozen=True)
class Interface:
    """Those interfaces that carry the pod's traffic: the one with its address, or all but the loopback."""

    names: tuple[str, ...]

    def carried(self) -> CarriedBytes:
        """Now. Interfaces that have gone count nothing."""
        return CarriedBytes(self._sum("rx_bytes"), self._sum("tx_bytes"))

    def _sum(self, counter: str) -> int:
        return sum(_read_int(NET / name / "statistics" / counter) for name in self.names)


def interface_of(address: str) -> Interface:
    """The interface with this IP address."""
    names = [name for _, name in socket.if_nameindex()]
    matching = [name for name in names if address in (_ipv4_of(name), _ipv6_of(name))]
    return Interface(tuple(matching[:1] or [name for name in names if name != "lo"]))


def _ipv4_of(name: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def _ipv6_of(name: str) -> str | None:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return None
    fields = [line.split() for line in lines]
    # Scope 00 is global: a link-local address is no pod's.
    found = [f[0] for f in fields if f[5] == name and f[3] == "00"]
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(found[0])) if found else None


def _read_int(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
