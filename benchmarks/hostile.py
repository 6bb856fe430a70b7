"""Strangers at every port: what they cost the operator, supervisors and profilers, and what an honest worker
waits meanwhile; bytes that are nearly right, for everything that reads any; each attack that was done once.
"""

import base64
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish, show
from benchmarks.living import Committed, longest_wait
from benchmarks.resident import operator_pids, operator_pod, resident, sidecar_pids, supervisor_pids
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
from tests.support.attacks import ATTACKS, done_again
from tests.support.mutations import mutated
from tests.support.parsers import PARSERS, Parser

SECONDS = float(os.environ.get("SECONDS", "30"))
"""Of each crowd."""
IDLE, TLS = 10_000, 3_000
INPUTS = int(os.environ.get("INPUTS", "100000"))
"""To each parser."""
MOST_SECONDS, MOST_MB = 0.1, 64.0
"""Of a processor and of memory, for one input: it has a megabyte at most."""
NODES = edges("100mbit", "100mbit", "100mbit", cpus=[0.5] * 3)
Result = TypeVar("Result")
PROGRAMS = Path(__file__).parent / "programs"


def main() -> int:
    chosen = os.environ.get("PARTS", " ".join(PARTS)).split()
    if unknown := set(chosen) - PARTS.keys():
        print(f"no such part: {', '.join(unknown)}; PARTS takes some of: {' '.join(PARTS)}", file=sys.stderr)
        return 2
    rows = [row for name in chosen for row in PARTS[name]()]
    # Figures of a part alone would take the place of the others'.
    told = publish if set(chosen) == PARTS.keys() else show
    return 0 if told("hostile", rows) else 1


def at_ports() -> Iterator[Row]:
    with bed("hostile", NODES) as test:
        test.train("--samples", "4000", "--epochs", "100000", "--sample-seconds", "0.002")
        yield from at_the_operator(test)
        yield from at_a_worker(test)


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
        asker = inside(test, str(PROGRAMS / "asker.py"), *words)
        said = subprocess.run(asker, check=True, stdout=subprocess.PIPE, text=True)
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


@dataclass
class Fuzzed:
    """What came of all inputs to a parser."""

    uncaught: int = 0
    """By the errors that are meant for it."""
    beyond: int = 0
    """The bounds of one input."""


def fuzzed() -> Iterator[Row]:
    found = {name: tried(name, parser) for name, parser in PARSERS.items()}
    for name, one in found.items():
        yield Row(f"{INPUTS} inputs to: {name}", one.uncaught, "uncaught", Goal("==", 0))
    beyond = [one.beyond for one in found.values()]
    what = f"of all these, beyond {MOST_SECONDS:g} s of a processor or {MOST_MB:g} MB"
    yield Row(what, sum(beyond), "inputs", Goal("==", 0), beyond)


def tried(name: str, parser: Parser) -> Fuzzed:
    chance, found = random.Random(name), Fuzzed()
    for example in parser.examples:
        parser.read(example)  # What is imported at the first is no input's.
    for _ in range(INPUTS):
        data = mutated(chance, chance.choice(parser.examples))
        try:
            seconds, megabytes = cost(parser, data)
            if seconds > MOST_SECONDS:  # Of the input, or of whatever else this machine did?
                seconds = min(cost(parser, data)[0] for _ in range(3))
        except Exception as error:
            found.uncaught += 1
            print(f"  {name}: {error!r} of {data[:200]!r}", flush=True)
            continue
        if seconds > MOST_SECONDS or megabytes > MOST_MB:
            found.beyond += 1
            print(
                f"  {name}: {seconds:.3f} s, {megabytes:.0f} MB for {len(data)} bytes: {data[:200]!r}",
                flush=True,
            )
    return found


def cost(parser: Parser, data: bytes) -> tuple[float, float]:
    """Seconds of a processor, and MB of memory, that reading or refusing this takes.

    Raises:
        Exception: one by which it was not meant to be refused.
    """
    began, held = time.thread_time(), most_held()
    with contextlib.suppress(*parser.errors), warnings.catch_warnings(action="ignore"):
        parser.read(data)
    return time.thread_time() - began, most_held() - held


def most_held() -> float:
    """MB of memory that this process has held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def attacked() -> Iterator[Row]:
    """Each attack by its number; one that no test does counts as one that succeeds."""
    held = done_again()
    for number, title in ATTACKS.items():
        if not (succeeds := [int(not repelled) for repelled in held[number]]):
            print(f"  {number}: no test does this attack", flush=True)
        yield Row(f"{number}. {title}", sum(succeeds or [1]), "succeed", Goal("==", 0), succeeds)
    all_in_all = sum(not (tests and all(tests)) for tests in held.values())
    yield Row(f"of these {len(ATTACKS)} attacks", all_in_all, "succeed", Goal("==", 0))


PARTS: dict[str, Callable[[], Iterator[Row]]] = {"ports": at_ports, "fuzz": fuzzed, "attacks": attacked}


if __name__ == "__main__":
    sys.exit(main())
