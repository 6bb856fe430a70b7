"""Network namespaces joined by shaped links: no cluster, only what a link is."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgetrain_protocol.names import Env
from edgetrain_protocol.report import ProbeOrder, ProbeTarget
from tests.support.identities import JOB, write_identity


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
    identity: Path
    """Of the pod on it."""

    def command(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *command]

    def pod(self, *command: str) -> list[str]:
        """A command that is known to the other hosts as the pod on this one."""
        mounted = {
            Env.JOB_UID: JOB,
            Env.IDENTITY_DIR: str(self.identity),
            Env.CA_FILE: str(self.identity / "authorities.crt"),
        }
        return self.command("env", *(f"{key}={value}" for key, value in mounted.items()), *command)

    def shape(self, up: float, down: float | None = None, bucket: int | None = None) -> None:
        """Limit the link, in Mbit/s: `up` at the host's end, `down` (the same if unset) at the bridge's."""
        run(*self.command("tc", "qdisc", "replace", "dev", "eth0", *_tbf(up, bucket)))
        inside = ["ip", "netns", "exec", self.bridge]
        run(*inside, "tc", "qdisc", "replace", "dev", self.port, *_tbf(down or up, bucket))


def _tbf(mbit: float, bucket: int | None) -> list[str]:
    # A bucket below the kernel's timer tick times the rate cannot reach the rate.
    bucket = bucket or max(16 << 10, int(mbit * 1e6 / 8 / 250))
    return ["root", "tbf", "rate", f"{mbit}mbit", "burst", str(bucket), "latency", "200ms"]


@contextmanager
def hosts(links: Mapping[str, float]) -> Iterator[dict[str, Host]]:
    """Hosts by name, each on one bridge by a link of that many Mbit/s in both directions.

    Needs root. Everything it makes carries a random name and is gone afterwards.
    """
    mark = secrets.token_hex(3)
    bridge_space = f"et-{mark}"
    made: list[str] = []
    identities = tempfile.TemporaryDirectory(prefix="identities-")
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
            identity = write_identity(Path(identities.name) / name, name)
            joined[name] = host = Host(name, space, f"198.18.0.{number}", port, bridge_space, identity)
            host.shape(mbit)
        yield joined
    finally:
        for space in reversed(made):
            subprocess.run(["ip", "netns", "del", space], check=False)
        identities.cleanup()


def can_shape() -> bool:
    """Whether this machine lets us make namespaces and shape their links."""
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ip", "tc"))


SERVE = """
import sys, threading
from edgetrain.credentials import Credentials
from edgetrain.profiler.counters import interface_of
from edgetrain.profiler.probe_server import ProbeServer
server = ProbeServer(Credentials.from_env(), threading.Lock(), interface_of(sys.argv[1]), port=7073)
print("ready", flush=True)
sys.stdin.read()
"""

PROBE = """
import json, sys, threading
from edgetrain.credentials import Credentials
from edgetrain.profiler.counters import interface_of
from edgetrain.profiler.prober import Prober
from edgetrain_protocol.report import ProbeOrder
prober = Prober(Credentials.from_env(), threading.Lock(), interface_of(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    print(json.dumps(prober.probe(ProbeOrder.from_wire(sys.argv[3])).to_wire()), flush=True)
"""


@contextmanager
def served(*at: Host) -> Iterator[None]:
    """Run a probe server on each of these hosts."""
    with ExitStack() as stack:
        for host in at:
            command = host.pod(sys.executable, "-c", SERVE, host.address)
            server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(server)
            stack.callback(server.kill)
            assert server.stdout and server.stdout.readline() == "ready\n"
        yield


def probing(
    host: Host, peers: Sequence[Host], known: Mapping[str, float] | None = None, times: int = 1
) -> list[dict[str, float]]:
    """Probe from one host to others, as a profiler does when ordered to. `known`: their rates in Mbit/s."""
    targets = [
        ProbeTarget(
            peer=peer.name,
            address=peer.address,
            port=7073,
            bits_per_second=known[peer.name] * 1e6 if known else None,
        )
        for peer in peers
    ]
    order = ProbeOrder(
        **targets[0].model_dump(), max_bytes=4 << 20, deadline_seconds=15, helpers=tuple(targets[1:])
    )
    command = host.pod(sys.executable, "-c", PROBE, host.address, str(times), order.model_dump_json())
    return [json.loads(line) for line in run(*command).splitlines()]
