"""Two sites of three train one model in rounds; one loses its majority, and the other goes on."""

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks.audit import NONE, Audit, audit
from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.steps import LATE_SECONDS, Step, gaps
from benchmarks.waiting import wait_for
from edgelab.demo.install import upgrade_operator

REPEATS = int(os.environ.get("REPEATS", "5"))
SAMPLES = 4000
AGAIN_SECONDS = 10.0
SETTLED_SECONDS = 5.0
NODES = edges(*["50mbit"] * 6, cpus=[0.3] * 6, sites=["north"] * 3 + ["south"] * 3)
NORTH, SOUTH = (tuple(node.name for node in NODES[at : at + 3]) for at in (0, 3))


def main() -> int:
    with bed("groups", NODES) as test:
        upgrade_operator(test.lab, "--set", "featureGates.grouping=true")
        storage = {"checkpoint": {"claim": {"size": "64Mi"}}}
        strategy = {"grouping": "site", "checkpointEverySeconds": 5}
        arguments = ("--samples", str(SAMPLES), "--epochs", "100000")
        test.train(*arguments, storage=storage, strategy=strategy)
        rows = [*losses(test, "two of its pods deleted", delete_two, AGAIN_SECONDS)]
        rows += losses(test, "all its programs killed", kill_programs, None)
        rows += judged(test)
    return 0 if publish("groups", rows) else 1


def losses(test: Bed, what: str, lose: Callable[[Bed], None], within: float | None) -> Iterator[Row]:
    """One site loses its majority for good, again and again. `within`: to reach, seconds."""
    again, late, waits, usual = [], [], [], []
    for _ in range(REPEATS):
        usual.append(statistics.median(gaps(steps_of(test, SOUTH), time.time() - 5, time.time())))
        generation, began = generation_of(test), time.time()
        lose(test)
        onwards = partial(first_after, test, began, generation)
        again.append(wait_for(onwards, 120, "the site to train") - began)
        test.wait_training(len(test.nodes))
        time.sleep(SETTLED_SECONDS)
        missed = gaps(steps_of(test, SOUTH), began, time.time())
        late.append(sum(wait > LATE_SECONDS for wait in missed))
        waits.append(max(missed))
    goal = Goal("<=", within) if within else None
    yield Row(f"{what}: the site trains again after", statistics.median(again), "s", goal, tuple(again))
    yield Row(f"{what}: steps of the other that are late", sum(late), "steps", NONE, tuple(late))
    yield Row(f"{what}: longest wait of the other", max(waits), "s", None, tuple(waits))
    yield Row("usual wait of the other", statistics.median(usual), "s", None, tuple(usual))


def delete_two(test: Bed) -> None:
    """At once, as one who clears up does: their votes are gone with them."""
    pods = [test.pods()[node]["metadata"]["name"] for node in NORTH[:2]]
    test.lab.kubectl("-n", test.namespace, "delete", "pod", *pods, "--grace-period=0", "--force")


def kill_programs(test: Bed) -> None:
    """What they held in memory is lost, and the newest checkpoint is where they begin."""
    for pid in [test.program_pid(node) for node in NORTH]:
        os.kill(pid, signal.SIGKILL)


def judged(test: Bed) -> Iterator[Row]:
    """Each group by itself: nothing is forked, and what a new generation went back is counted. Numbers that
    nobody has written down are of steps that merge."""
    north, south = audited(test, NORTH), audited(test, SOUTH)
    for site, one in (("north", north), ("south", south)):
        yield counted(f"{site}: steps forked, of {one.steps}", one.forked, "steps", NONE)
    yield counted("north: new generations", north.new_generations, "generations")
    yield counted("north: steps that they went back", north.rolled_back, "steps")
    yield counted("south: new generations", south.new_generations, "generations", NONE)


def counted(what: str, number: int, unit: str, goal: Goal | None = None) -> Row:
    return Row(what, number, unit, goal, (number,))


def audited(test: Bed, nodes: Sequence[str]) -> Audit:
    return audit(steps_of(test, nodes), SAMPLES)


def steps_of(test: Bed, nodes: Sequence[str]) -> list[Step]:
    return [step for step in test.journal.read() if step.node in nodes]


def generation_of(test: Bed) -> int:
    return next((group.generation for group in test.status().groups if group.name == "north"), 1)


def first_after(test: Bed, moment: float, generation: int) -> float | None:
    """When the first step of a later generation was committed, if one was."""
    later = (s.at for s in steps_of(test, NORTH) if s.history.generation > generation and s.at > moment)
    return min(later, default=None)


if __name__ == "__main__":
    sys.exit(main())
