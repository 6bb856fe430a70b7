"""Random faults one after another, none waiting for what the one before has done; then quiet.

Each seed is a job of its own, on four nodes or six in turn.
"""

import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.aftermath import (
    START_SECONDS,
    Aftermath,
    aftermath,
    last_resorts,
    restore,
    wait_whole_again,
)
from benchmarks.audit import Audit, audit, audit_rows
from benchmarks.bed import Bed, bed, edges
from benchmarks.evidence import explain
from benchmarks.faults import FAULTS, Struck
from benchmarks.harness import Goal, Row, publish
from edgelab.config import NodeSpec
from edgelab.errors import LabError

SEEDS = int(os.environ.get("SEEDS", "30"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FAULTS_EACH = int(os.environ.get("FAULTS", "8"))
QUIET_SECONDS = float(os.environ.get("QUIET_SECONDS", "180"))
"""After the last fault, and the start of what was killed; who does not train by then is taken never to."""
BETWEEN_SECONDS = (0.5, 8.0)
WORST_SECONDS = 30.0
"""To the next step."""
SAMPLES = 4000
LINKS = ("100mbit", "50mbit", "50mbit", "20mbit", "50mbit", "50mbit")
SIZES = {4: 0.45, 6: 0.3}
"""Nodes, and the processor quota of each."""


@dataclass(frozen=True)
class Outcome:
    """What became of one seed."""

    seed: int
    after: Aftermath | None
    """None: it never trained again."""
    found: Audit | None
    """None: it never trained at all."""
    last_resorts: int

    @property
    def good(self) -> bool:
        """Whether there is nothing to look into. Steps that a new generation has undone are looked into as
        well, though that may be right."""
        soon = self.after is not None and self.after.to_next <= WORST_SECONDS
        return soon and not self.last_resorts and not (self.found and self.found.harm)


def main() -> int:
    print(f"seeds {SEED} to {SEED + SEEDS - 1}: repeat one with SEEDS=1 SEED=...", flush=True)
    outcomes: list[Outcome] = []
    for turn, size in enumerate(SIZES):
        seeds = [seed for seed in range(SEED, SEED + SEEDS) if seed % len(SIZES) == turn]
        if seeds:
            outcomes += on_nodes(size, seeds)
    return 0 if publish("churn", rows(outcomes)) else 1


def on_nodes(size: int, seeds: Sequence[int]) -> list[Outcome]:
    with bed("churn", nodes(size)) as test:
        return [churned(test, seed) for seed in seeds]


def nodes(size: int) -> list[NodeSpec]:
    return edges(*LINKS[:size], cpus=[SIZES[size]] * size)


def churned(test: Bed, seed: int) -> Outcome:
    """One seed, from the job's start to its end. Whatever happens, the nodes are whole afterwards."""
    print(f"seed {seed}, {len(test.nodes)} nodes", flush=True)
    test.open_journal()
    struck: list[Struck] = []
    trains = False
    with test.journal.followed():
        try:
            test.train(
                *("--samples", str(SAMPLES), "--epochs", "100000"),
                name=f"churn-{seed}",
                seconds=START_SECONDS,
                nodes={"min": 2},
                strategy={"checkpointEverySeconds": 5},
                storage={"checkpoint": {"claim": {"size": "64Mi"}}},
            )
            strike_all(test, random.Random(seed), struck)
            wait_whole_again(test, struck, QUIET_SECONDS)
            trains = True
        except (LabError, TimeoutError) as failed:
            print(f"  FAILED: seed {seed}: {failed}", flush=True)
        time.sleep(1)
        test.journal.read()
        outcome = judged(test, seed, struck if trains else [], last_resorts(test))
        if not outcome.good:
            explain(test, f"churn-{seed}")
        restore(test)
        test.end()
    return outcome


def strike_all(test: Bed, chance: random.Random, struck: list[Struck]) -> None:
    for _ in range(FAULTS_EACH):
        time.sleep(chance.uniform(*BETWEEN_SECONDS))
        struck.append(chance.choice(FAULTS).strike(test, chance))
        print(f"  {time.strftime('%T', time.localtime(struck[-1].began))} {struck[-1]}", flush=True)


def judged(test: Bed, seed: int, struck: Sequence[Struck], resorts: int) -> Outcome:
    steps, begun = test.journal.steps, test.journal.begun
    after = aftermath(struck, steps, begun, len(test.nodes)) if struck else None
    found = audit(steps, SAMPLES) if steps else None
    print(f"  {after}\n  {found}", flush=True)
    return Outcome(seed, after, found, resorts)


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """What the seeds show together."""
    trained = [outcome.after for outcome in outcomes if outcome.after]
    failed = [outcome.seed for outcome in outcomes if not outcome.after]
    again = Row(
        f"of {len(outcomes)} seeds: train again", len(trained), "seeds", Goal("==", len(outcomes)), failed
    )
    resorts = [outcome.last_resorts for outcome in outcomes]
    stalled = Row("last resorts taken (Stalled)", sum(resorts), "times", Goal("==", 0), resorts)
    return [again, stalled, *times(trained), *audit_rows([o.found for o in outcomes if o.found])]


def times(trained: Sequence[Aftermath]) -> list[Row]:
    if not trained:
        return []
    nexts, wholes = [after.to_next for after in trained], [after.to_whole for after in trained]
    starts = [after.starting for after in trained]
    return [
        Row("to the next step, median", statistics.median(nexts), "s", Goal("<=", 5), nexts),
        Row("to the next step, worst", max(nexts), "s", Goal("<=", WORST_SECONDS), nexts),
        Row("to a step of all members, median", statistics.median(wholes), "s", None, wholes),
        Row("to a step of all members, worst", max(wholes), "s", None, wholes),
        Row("before that: to the start of what was killed, worst", max(starts), "s", None, starts),
    ]


if __name__ == "__main__":
    sys.exit(main())
