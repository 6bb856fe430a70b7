"""What the lab's router lets pass no more: partitions, nodes offline, cuts. Pure: it makes nft's rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from edgelab.errors import LabError
from edgetrain_protocol.names import CONTROL_PORT

Way = Literal["both", "out", "in"]
WAYS: tuple[Way, ...] = ("both", "out", "in")
Content = Literal["control", "data", "calls"]
CONTENTS: tuple[Content, ...] = ("control", "data", "calls")

# As one pair: nft 1.0.6 makes of `sport != A dport != B` one comparison of both, which is another thing.
_PORTS = "meta l4proto {{ tcp, udp }} th sport . th dport {equals}{{ {port} . 0-65535, 0-65535 . {port} }} "
_MATCHES: dict[Content | None, str] = {
    None: "",
    "control": _PORTS.format(equals="", port=CONTROL_PORT),
    "data": _PORTS.format(equals="!= ", port=CONTROL_PORT),
    "calls": "tcp flags & (syn | ack) == syn ",
}


class Cut(BaseModel):
    """What no longer passes between `node` and `peer`; None: and every other edge node."""

    model_config = ConfigDict(frozen=True)

    node: str
    peer: str | None = None
    way: Way = "both"
    """out: what `node` sends; in: what is sent to it."""
    above: int | None = None
    """Only packets of more bytes, with their IP header: a tunnel that drops large packets."""
    only: Content | None = None
    """control: the supervisors' channel alone; data: all but that; calls: new connections, as by NAT."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.peer == self.node:
            raise LabError(f"{self.node!r} cannot be cut off from itself: name another node, or none")
        if self.above is not None and self.above <= 0:
            raise LabError(f"packets above {self.above} bytes: write a size such as 600")
        return self

    def __str__(self) -> str:
        size = f" above {self.above}" if self.above else ""
        return f"{self.only or 'all'}{size} {self.way}, {self.node} and {self.peer or 'edge nodes'}"


def nft_rules(
    partitions: Iterable[Iterable[str]],
    offline: Sequence[str],
    cuts: Iterable[Cut],
    links: Mapping[str, str],
    cloud: Sequence[str],
) -> Iterator[str]:
    """`links` names the router's end of each node's link; `cloud` lists the ends that are in the cloud."""
    for group in partitions:
        inside = _set(links[name] for name in group)
        yield f"iifname {inside} oifname != {inside} drop"
        yield f"oifname {inside} iifname != {inside} drop"
    if offline:
        off, away = _set(links[name] for name in offline), _set(cloud)
        yield f"iifname {off} oifname {away} drop"
        yield f"iifname {away} oifname {off} drop"
    for cut in cuts:
        others = f'"{links[cut.peer]}"' if cut.peer else f"!= {_set(cloud)}"
        yield from _cut_rules(cut, f'"{links[cut.node]}"', others)


def _cut_rules(cut: Cut, own: str, others: str) -> Iterator[str]:
    ways = {"out": f"iifname {own} oifname {others}", "in": f"iifname {others} oifname {own}"}
    size = f"meta length > {cut.above} " if cut.above else ""
    for way, ends in ways.items():
        if cut.way in (way, "both"):
            yield f"{ends} {_MATCHES[cut.only]}{size}drop"


def _set(links: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in links) + " }"
