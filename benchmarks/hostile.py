"""Strangers at every port: what they cost the operator, supervisors and profilers, and what an honest worker
waits meanwhile; and bytes that are nearly right, for everything that reads any.
"""

import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.living import Committed, longest_wait
from benchmarks.memory import operator_pids, operator_pod, resident, sidecar_pids, supervisor_pids
from edgelab.network import netns
from edgetrain_protocol.identity import worker_of
from edgetrain_protocol.names import (
    CONTROL_PORT,
    FLEET_PORT,
    JOB_UID_LABEL,
    NODE_HASH_LABEL,
    PROBE_PORT,
    PROFILER_PORT,
    STATE_PORT,
)
from tests.support.parsers import PARSERS, Parser, mutated

SECONDS = float(os.environ.get("SECONDS", "30"))
"""Of each crowd."""
IDLE, TLS = 10_000, 3_000
INPUTS = int(os.environ.get("INPUTS", "100000"))
"""To each parser."""
NODES = edges("100mbit", "100mbit", "100mbit", cpus=[0.5] * 3)
Result = TypeVar("Result")
PROGRAMS = Path(__file__).parent / "programs"


def main() -> int:
    with bed("hostile", NODES) as test:
        test.train("--samples", "4000", "--epochs", "100000", "--sample-seconds", "0.002")
        rows = [*at_the_operator(test), *at_a_worker(test)]
    rows += list(fuzzed())
    return 0 if publish("hostile", rows) else 1


def at_the_operator(test: Bed) -> Iterator[Row]:
    address = operator_pod(test)["address"]
    quiet = answers(test, address)
    yield Row("a worker's answer, nobody else there: p99", p99(quiet), "ms", None, quiet)
    for count, tls in ((IDLE, False), (TLS, True)):
        what = f"{count} {'TLS ' if tls else ''}strangers at the fleet API"
        with_them, most = during(
            test, (address, FLEET_PORT, count, tls), operator_pids(test), lambda: answers(test, address)
        )
        yield Row(f"{what}: the operator's memory", most, "MB", Goal("<", 256))
        yield Row(f"{what}: a worker's answer, p99", p99(with_them), "ms", Goal("<", 100), with_them)


def at_a_worker(test: Bed) -> Iterator[Row]:
    """All its ports, one after the other; the group trains on."""
    node = test.nodes[0]
    address, began = test.pods()[node]["status"]["podIP"], time.time()
    ports = {
        "supervisor": ((CONTROL_PORT,), supervisor_pids(test, node)),
        "profiler": ((PROBE_PORT, PROFILER_PORT), sidecar_pids(test, node)),
        "trainer, beyond what it had before": ((STATE_PORT,), [test.program_pid(node)]),
    }
    for who, (listens, pids) in ports.items():
        before = resident(pids) if who.startswith("trainer") else 0.0
        most = max(
            during(test, (address, port, IDLE, False), pids, lambda: time.sleep(SECONDS))[1]
            for port in listens
        )
        yield Row(f"{IDLE} strangers at a {who}: its memory", most - before, "MB", Goal("<", 128))
    steps = [Committed(step.at, step.samples) for step in test.journal.read()]
    waits = longest_wait(steps, (began, time.time()))
    yield Row("longest time without a step meanwhile", waits, "s", Goal("<", 2))


def during(
    test: Bed, crowd: tuple[str, int, int, bool], pids: Sequence[int], do: Callable[[], Result]
) -> tuple[Result, float]:
    """Do something while a crowd is at a port; returns its result, and what these processes hold then, MB."""
    host, port, count, tls = crowd
    words = [host, str(port), f"--count={count}", f"--seconds={SECONDS + 10}", *(["--tls"] if tls else [])]
    strangers = subprocess.Popen(inside(test, str(PROGRAMS / "strangers.py"), *words))
    try:
        time.sleep(5)
        result = do()
        return result, resident(pids)
    finally:
        strangers.terminate()
        strangers.wait()


def answers(test: Bed, address: str) -> list[float]:
    """How long each took, ms."""
    with tempfile.TemporaryDirectory() as folder:
        secret, bundle = mounted(test, "secret", "identity"), mounted(test, "configmap", "ca")
        (Path(folder) / "token").write_bytes(base64.b64decode(secret["data"]["token"]))
        (Path(folder) / "authorities.crt").write_text(bundle["data"]["ca.crt"])
        labels, (pod,) = secret["metadata"]["labels"], secret["metadata"]["ownerReferences"]
        worker, job_uid = worker_of(labels[NODE_HASH_LABEL]), labels[JOB_UID_LABEL]
        words = [f"{address}:{FLEET_PORT}", job_uid, worker, pod["uid"], folder, str(SECONDS)]
        said = subprocess.run(
            inside(test, str(PROGRAMS / "asker.py"), *words), check=True, capture_output=True, text=True
        )
    return [1000 * seconds for seconds in json.loads(said.stdout)]


def mounted(test: Bed, kind: str, component: str) -> dict[str, Any]:
    """What one of the job's pods mounts."""
    only = f"-l=edgetrain.io/component={component}"
    text = test.lab.kubectl("-n", test.namespace, "get", kind, only, "-o", "json")
    found: dict[str, Any] = json.loads(text)["items"][0]
    return found


def inside(test: Bed, *words: str) -> list[str]:
    """A program of ours, run where the last edge node is."""
    return ["ip", "netns", "exec", netns(test.lab.name, test.nodes[-1]), sys.executable, *words]


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def fuzzed() -> Iterator[Row]:
    for name, parser in PARSERS.items():
        yield Row(f"{INPUTS} inputs to: {name}", uncaught(name, parser), "uncaught", Goal("==", 0))


def uncaught(name: str, parser: Parser) -> int:
    chance, errors = random.Random(name), 0
    for _ in range(INPUTS):
        data = mutated(chance, chance.choice(parser.examples))
        try:
            parser.read(data)
        except parser.errors:
            continue
        except Exception as error:
            errors += 1
            print(f"  {name}: {error!r} of {data[:200]!r}", flush=True)
    return errors


if __name__ == "__main__":
    sys.exit(main())
