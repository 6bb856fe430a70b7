"""From a loss to the next committed step: a program killed, hung, its node's power cut; the aggregator too.

torchrun's elastic launcher is measured in the same run, on loopback, with nothing shaped: its best case.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.baselines import torchrun
from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, median_row, publish

REPEATS = int(os.environ.get("REPEATS", "5"))
NODES = edges("50mbit", "50mbit", "50mbit", "50mbit", cpus=[0.6] * 4)


def followers(test: Bed) -> Iterator[str]:
    """Nodes that do not aggregate, in turn."""
    turn = 0
    while True:
        others = [node for node in test.nodes if node != test.aggregator()]
        yield others[turn % len(others)]
        turn += 1


def aggregators(test: Bed) -> Iterator[str]:
    """Whoever aggregates now."""
    while True:
        yield test.aggregator()


def kills(test: Bed, victims: Iterator[str]) -> list[float]:
    """SIGKILL of the program; its supervisor starts it again and it joins."""
    measured = []
    for _ in range(REPEATS):
        test.wait_training(len(test.nodes))
        victim = next(victims)
        measured.append(test.goes_on_without(victim, test.signal_program(victim)))
    return measured


def hangs(test: Bed, victims: Iterator[str]) -> list[float]:
    """SIGSTOP of all of the container, for ten seconds."""
    measured = []
    for _ in range(REPEATS):
        test.wait_training(len(test.nodes))
        victim = next(victims)
        began = test.signal_pod(victim, signal.SIGSTOP)
        measured.append(test.goes_on_without(victim, began))
        time.sleep(5)
        test.signal_pod(victim, signal.SIGCONT)
    return measured


def power_cuts(test: Bed, victims: Iterator[str]) -> list[float]:
    """Power cut of the node; nobody is told."""
    measured = []
    for _ in range(max(2, REPEATS // 2)):
        test.wait_training(len(test.nodes))
        victim = next(victims)
        began = time.time()
        test.lab.node_kill(victim)
        measured.append(test.goes_on_without(victim, began))
        test.lab.node_start(victim)
    return measured


Measure = Callable[[Bed, Iterator[str]], list[float]]


def ours() -> Iterator[Row]:
    """Each loss, at a worker and at the aggregator where the issue of who it is matters."""
    with bed("recovery", NODES) as test:
        test.train("--epochs", "100000")
        cases: list[tuple[str, Measure, Callable[[Bed], Iterator[str]], float]] = [
            ("worker SIGKILL", kills, followers, 0.3),
            ("aggregator SIGKILL", kills, aggregators, 0.6),
            ("worker SIGSTOP", hangs, followers, 1.5),
            ("node power cut", power_cuts, followers, 1.5),
        ]
        for what, measure, victims, bound in cases:
            yield median_row(what, measure(test, victims(test)), "s", Goal("<=", bound))


def main() -> int:
    rows = list(ours())
    rows.append(median_row("torchrun elastic, worker SIGKILL", torchrun.worker_kill_seconds(), "s"))
    return 0 if publish("recovery", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
