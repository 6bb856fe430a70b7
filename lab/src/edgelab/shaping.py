"""What a node's link is like: its rate, and where it has them its delay and loss."""

import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from edgelab import delay_line, network
from edgelab.addresses import Block
from edgelab.errors import LabError
from edgelab.rates import Link
from edgelab.shell import run, succeeds

_LINE_SECONDS = 10.0
_POLL_SECONDS = 0.02


class End(NamedTuple):
    namespace: str
    device: str


def shape(lab: str, block: Block, node: str, number: int, link: Link | None) -> str | None:
    """Make a node's link so in both directions. Returns what cannot be done here, if anything.

    The kernel delays and loses packets by netem; where it has none, a process does, and the link is made
    anew where that changes: what was under way over it is lost then.
    """
    own = End(network.netns(lab, node), network.NODE_DEVICE)
    hub = End(network.netns(lab), network.port(number))
    for end in (own, hub):
        succeeds(["tc", "-n", end.namespace, "qdisc", "del", "dev", end.device, "root"])
    late = link if link and (link.delay or link.loss) else None
    by_kernel = late is not None and all(_add_netem(end, late) for end in (own, hub))
    can_delay = by_kernel or Path(delay_line.TUN).exists()
    wanted = late if can_delay and not by_kernel else None
    if _line(hub) != _name(wanted):
        _make_anew(own, hub, wanted)
        network.lead_to_node(lab, block, node, number)
    if link:
        for end in (own, hub):
            _add_tbf(end, link, parent="1:1" if by_kernel else None)
    if late and not can_delay:
        return f"this kernel has neither netem nor tun: link of {node} gets its rate alone"
    return None


def _name(line: Link | None) -> str:
    return f"{line.delay}ms-{line.loss}%" if line else ""


def _line(hub: End) -> str:
    """By what delay and loss the link's process was started; nothing where it has none."""
    (shown,) = json.loads(run(["ip", "-n", hub.namespace, "-json", "link", "show", "dev", hub.device]))
    return str(shown.get("ifalias", ""))


def _make_anew(own: End, hub: End, line: Link | None) -> None:
    for end in (hub, own):
        succeeds(["ip", "-n", end.namespace, "link", "del", "dev", end.device])
    if line is None:
        network.wire(own.namespace, hub.namespace, hub.device)
        return
    _start_line(own, hub, line)
    run(["ip", "-n", hub.namespace, "link", "set", "dev", hub.device, "alias", _name(line)])


def _start_line(own: End, hub: End, line: Link) -> None:
    """It ends by itself when the link is removed."""
    words = [str(line.delay / 1000), str(line.loss / 100), *own, *hub]
    command = ["setsid", "--fork", sys.executable, "-I", "-S", delay_line.__file__, *words]
    # Redirected by a shell's own means: run() reads its program's output, which would never end.
    run(["sh", "-c", 'exec "$@" >/dev/null 2>&1 </dev/null', "line", *command])
    deadline = time.monotonic() + _LINE_SECONDS
    while not all(map(_exists, (own, hub))):
        if time.monotonic() > deadline:
            raise LabError(f"no line with {_name(line)} to {own.namespace} in {_LINE_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)


def _exists(end: End) -> bool:
    return succeeds(["ip", "-n", end.namespace, "link", "show", "dev", end.device])


def _add_tbf(end: End, link: Link, parent: str | None) -> None:
    place = ["parent", parent, "handle", "10:"] if parent else ["root"]
    run(["tc", "-n", end.namespace, "qdisc", "add", "dev", end.device, *place, "tbf", *link.sizes])


def _add_netem(end: End, link: Link) -> bool:
    place = ["dev", end.device, "root", "handle", "1:"]
    how = ["netem", "delay", f"{link.delay}ms", "loss", f"{link.loss}%"]
    return succeeds(["tc", "-n", end.namespace, "qdisc", "add", *place, *how])
