"""Measured bandwidth against the shaped rate, and what measuring takes of the links.

Real profilers under the fleet API's schedule, on nodes that are network namespaces with kernel-shaped
links; no training goes on, so all that the links carry is the price of measuring and reporting.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.harness import Goal, Row, publish
from benchmarks.programs.fleet_alone import JOB
from benchmarks.waiting import wait_for
from edgetrain.rundir import Heartbeat, write_heartbeat
from edgetrain_protocol.names import Env
from tests.support.shaped import Host, hosts, run, served

LINKS = {"n5": 5.0, "n20": 20.0, "n100": 100.0, "n300": 300.0, "n1000": 1000.0, "m1000": 1000.0}
CLOUD = "cloud"
FLEET_PORT = 8443
SETTLE_SECONDS, MEASURE_SECONDS = 60.0, 300.0
NAIVE_BYTES = 128 << 10
NAIVE = """
import json, sys, time
from edgetrain.credentials import Credentials
from edgetrain.profiler.prober import ProbedPeer
from edgetrain_protocol.report import ProbeTarget
target = ProbeTarget(peer="cloud", address=sys.argv[1], port=7073)
peer = ProbedPeer.dial(target, Credentials.from_env(), 30)
for _ in range(5):
    began = time.monotonic()
    peer.down(int(sys.argv[2]), began)
    print(int(sys.argv[2]) * 8 / (time.monotonic() - began), flush=True)
    time.sleep(0.3)
"""


class Fleet:
    """The fleet API in the cloud's namespace, and the rates that it knew each second."""

    def __init__(self, at: Host, directory: Path) -> None:
        module = [sys.executable, "-m", "benchmarks.programs.fleet_alone"]
        command = at.command(*module, at.address, str(FLEET_PORT), str(directory), *LINKS)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._known: list[tuple[float, dict[str, float]]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def rates_since(self, when: float, worker: str) -> list[float]:
        """In Mbit/s."""
        return [known[worker] / 1e6 for at, known in self._known if at >= when and worker in known]

    def wait_until_known(self, workers: Sequence[str], seconds: float) -> float:
        """Seconds until each of these workers had a rate."""
        began = time.monotonic()

        def known() -> bool:
            return bool(self._known) and not set(workers) - self._known[-1][1].keys()

        wait_for(known, seconds, "all nodes to be measured", every=0.2)
        return time.monotonic() - began

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._known.append((time.monotonic(), json.loads(line)))


@contextmanager
def profiler(host: Host, fleet: Host, directory: Path) -> Iterator[None]:
    """A profiler in the host's namespace, told what a worker pod is told."""
    env: dict[str, str] = {
        Env.JOB_UID: JOB,
        Env.WORKER: host.name,
        Env.NODE: host.name,
        Env.POD: host.name,
        Env.POD_UID: f"pod-{host.name}",
        Env.POD_IP: host.address,
        Env.FLEET_ADDRESS: f"{fleet.address}:{FLEET_PORT}",
        Env.IDENTITY_DIR: str(directory / host.name),
        Env.CA_FILE: str(directory / "ca.crt"),
        Env.RUN_DIR: str(directory),
        Env.STATE_DIR: str(directory / host.name / "state"),
    }
    # No trainer has to be waited for: this one says that it has begun.
    write_heartbeat(directory, Heartbeat(at=0.0, step=1))
    command = host.command(sys.executable, "-m", "edgetrain.profiler")
    process = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def carried(host: Host) -> int:
    """Bytes over the host's link so far, in the direction that took more."""
    directory = "/sys/class/net/eth0/statistics"
    # `ip netns exec` mounts the namespace's own /sys.
    return max(int(run(*host.command("cat", f"{directory}/{way}_bytes"))) for way in ("rx", "tx"))


def accuracy(fleet: Fleet, since: float) -> Iterator[Row]:
    for worker, shaped in LINKS.items():
        rates = fleet.rates_since(since, worker)
        off = max(abs(statistics.median(rates) / shaped - 1), 0.0)
        yield Row(f"{shaped:g} Mbit/s ({worker}): error of the rate", off, "ratio", Goal("<=", 0.1), rates)


def cost(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> Iterator[Row]:
    for worker, shaped in LINKS.items():
        share = (after[worker] - before[worker]) * 8 / (shaped * 1e6) / seconds
        what = f"{shaped:g} Mbit/s ({worker}): link's time taken"
        yield Row(what, share, "ratio", Goal("<", 0.01), (share,))


def naive(at: Mapping[str, Host]) -> Iterator[Row]:
    """The baseline: how long a small transfer takes from its first byte to its last."""
    with served(at[CLOUD]):
        for worker in ("n5", "n20", "n100", "n1000"):
            command = at[worker].pod(sys.executable, "-c", NAIVE, at[CLOUD].address, str(NAIVE_BYTES))
            rates = [float(line) / 1e6 for line in run(*command).split()]
            off = abs(statistics.median(rates) / LINKS[worker] - 1)
            yield Row(f"{LINKS[worker]:g} Mbit/s: error of timing all of 128 KiB", off, "ratio", None, rates)


def main() -> int:
    with hosts({CLOUD: 10_000.0, **LINKS}) as at, ExitStack() as stack:
        rows = list(naive(at))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bandwidth-")))
        fleet = Fleet(at[CLOUD], directory)
        stack.callback(fleet.end)
        while not (directory / "ca.crt").exists():
            time.sleep(0.1)
        began, before = time.monotonic(), {worker: carried(at[worker]) for worker in LINKS}
        for worker in LINKS:
            stack.enter_context(profiler(at[worker], at[CLOUD], directory))
        first = fleet.wait_until_known(list(LINKS), 120)
        time.sleep(SETTLE_SECONDS + MEASURE_SECONDS - (time.monotonic() - began))
        seconds = time.monotonic() - began
        after = {worker: carried(at[worker]) for worker in LINKS}
        rows += [*accuracy(fleet, began + SETTLE_SECONDS), *cost(before, after, seconds)]
        rows.append(Row("from start until all nodes were measured", first, "s", None, (first,)))
    return 0 if publish("bandwidth", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
