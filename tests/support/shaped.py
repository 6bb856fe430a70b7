"""Network namespaces joined by shaped links: no cluster, only what a link is."""

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


def run(*command: str) -> str:
    """Run a command; what it says on failure is part of the error."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Host:
    """A namespace with one interface, `eth0`, on the common bridge."""

    name: str
    namespace: str
    address: str
    port: str
    """The bridge's end of its link."""
    bridge: str
    """The bridge's namespace."""

    def command(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *command]

    def shape(self, mbit: float) -> None:
        """Limit both directions, as the lab does: at the host's end and at the bridge's."""
        # A bucket below the kernel's timer tick times the rate cannot reach the rate.
        bucket = max(16 << 10, int(mbit * 1e6 / 8 / 250))
        tbf = ["root", "tbf", "rate", f"{mbit}mbit", "burst", str(bucket), "latency", "200ms"]
        run(*self.command("tc", "qdisc", "replace", "dev", "eth0", *tbf))
        run("ip", "netns", "exec", self.bridge, "tc", "qdisc", "replace", "dev", self.port, *tbf)


@contextmanager
def hosts(links: Mapping[str, float]) -> Iterator[dict[str, Host]]:
    """Hosts by name, each on one bridge by a link of that many Mbit/s in both directions.

    Needs root. Everything it makes carries a random name and is gone afterwards.
    """
    mark = secrets.token_hex(3)
    bridge_space = f"et-{mark}"
    made: list[str] = []
    try:
        run("ip", "netns", "add", bridge_space)
        made.append(bridge_space)
        inside = ["ip", "netns", "exec", bridge_space]
        run(*inside, "ip", "link", "add", "br0", "type", "bridge")
        run(*inside, "ip", "link", "set", "br0", "up")
        joined = {}
        for number, (name, mbit) in enumerate(links.items(), 1):
            space, port = f"et-{mark}-{number}", f"p{number}"
            run("ip", "netns", "add", space)
            made.append(space)
            run("ip", "-n", bridge_space, "link", "add", port, "type", "veth", "peer", "eth0", "netns", space)
            run("ip", "-n", bridge_space, "link", "set", port, "master", "br0", "up")
            run("ip", "-n", space, "addr", "add", f"198.18.0.{number}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
            joined[name] = host = Host(name, space, f"198.18.0.{number}", port, bridge_space)
            host.shape(mbit)
        yield joined
    finally:
        for space in reversed(made):
            subprocess.run(["ip", "netns", "del", space], check=False)


def can_shape() -> bool:
    return os.geteuid() == 0
