"""Who has to go when more strangers have come than there is room for: one rule for every port of ours."""

import ipaddress
from collections import defaultdict
from typing import Generic, TypeVar

Guest = TypeVar("Guest")
_SITE_BITS = 64
"""Of an IPv6 address: whoever has one address has all of its /64."""


class Crowd(Generic[Guest]):
    """Guests by where they come from. One more than there is room for, and the oldest goes of those who come
    from where most do: a flood pushes out its own, and whoever comes from elsewhere stays.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._origins: dict[Guest, str] = {}
        self._by_origin: dict[str, dict[Guest, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._origins)

    def __contains__(self, guest: Guest) -> bool:
        return guest in self._origins

    def enter(self, guest: Guest, address: str) -> Guest | None:
        """Let a guest in from this IP address; returns who has to go for it, who is no longer counted."""
        origin = origin_of(address)
        self._origins[guest] = origin
        self._by_origin[origin][guest] = None
        if len(self._origins) <= self.most:
            return None
        crowded = max(self._by_origin.values(), key=len)
        goes = next(iter(crowded))
        self.leave(goes)
        return goes

    def leave(self, guest: Guest) -> None:
        """The guest is no longer counted, if it was."""
        origin = self._origins.pop(guest, None)
        if origin is None:
            return
        del self._by_origin[origin][guest]
        if not self._by_origin[origin]:
            del self._by_origin[origin]

    def everybody(self) -> tuple[Guest, ...]:
        """All guests, whoever came first before the others."""
        return tuple(self._origins)


def origin_of(address: str) -> str:
    """What counts as one place to come from: an IPv4 address, or the network of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, _SITE_BITS), strict=False).network_address)
