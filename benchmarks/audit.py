"""What the journals of all members show: no step lost or forked, no sample lost or seen twice.

Every member writes down each step that it commits: all its samples, and a digest of the parameters after
it. Two members that committed a step differently are a fork; a step that nobody committed between two
that were is lost; an epoch whose steps do not hold each sample once has lost or doubled some.

A new generation begins below the newest step of the one before and trains the steps from there on again.
Those are rolled back and counted by themselves; what is judged for losses is the history that they leave. Two
generations are two histories, so a step that each has in its own way is no fork.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.harness import Goal, Row
from benchmarks.steps import Step, by_step
from edgetrain_protocol.history import History

NONE = Goal("==", 0)


@dataclass(frozen=True)
class Audit:
    """What the journals show."""

    steps: int
    """Of the history that is left."""
    forked: int
    lost: int
    samples_lost: int
    samples_twice: int
    rolled_back: int = 0
    """Steps that a later generation has undone."""
    new_generations: int = 0

    @property
    def steps_harmed(self) -> int:
        """Where no majority is lost for good, no new generation may undo a step either."""
        return self.lost + self.forked + self.rolled_back

    @property
    def harm(self) -> int:
        """Steps and samples to which anything has happened."""
        return self.steps_harmed + self.samples_lost + self.samples_twice


def audit(steps: Sequence[Step], samples: int) -> Audit:
    """Judge all lines that the members of one group wrote. The last epoch is under way and not judged."""
    trained, history = by_step(steps), history_of(steps)
    epochs: dict[int, Counter[int]] = {}
    for lines in history.values():
        epochs.setdefault(lines[0].epoch, Counter()).update(samples_of(lines))
    whole = [count for epoch, count in epochs.items() if epoch < max(epochs)]
    return Audit(
        steps=len(history),
        forked=sum(map(is_forked, trained.values())),
        lost=max(history) - min(history) + 1 - len(history),
        samples_lost=sum(samples - len(count) for count in whole),
        samples_twice=sum(sum(n - 1 for n in count.values()) for count in whole),
        rolled_back=len(trained) - len(history),
        new_generations=len({history for history, _ in trained}) - 1,
    )


def history_of(steps: Iterable[Step]) -> dict[int, list[Step]]:
    """The members' lines of each step that no later generation has undone, by number."""
    trained = by_step(steps)
    first: dict[History, int] = {}
    for history, number in trained:
        first[history] = min(number, first.get(history, number))
    ends = {
        history: min([first[later] for later in first if later > history], default=inf) for history in first
    }
    return {number: lines for (history, number), lines in trained.items() if number < ends[history]}


def is_forked(lines: Sequence[Step]) -> bool:
    """Whether members differ over one step: in its samples, or in what the parameters were after it."""
    contents = {line.indices for line in lines if not line.replayed}
    digests = {line.digest for line in lines if line.digest}
    return len(contents) > 1 or len(digests) > 1


def samples_of(lines: Sequence[Step]) -> tuple[int, ...]:
    """The samples of one step, by the word of a member that took part in it."""
    return next((line.indices for line in lines if not line.replayed), ())


def audit_rows(found: Sequence[Audit], rolled_back: Goal | None = None) -> list[Row]:
    """What several jobs' journals show, added up; `rolled_back` is the goal for what new generations undo."""

    def total(what: str, name: str, goal: Goal | None = NONE, unit: str = "steps") -> Row:
        each = [getattr(one, name) for one in found]
        return Row(what, sum(each), unit, goal, each)

    return [
        total(f"committed steps lost, of {sum(one.steps for one in found)}", "lost"),
        total("steps forked", "forked"),
        total("samples lost", "samples_lost", unit="samples"),
        total("samples seen twice", "samples_twice", unit="samples"),
        total("new generations", "new_generations", None, "generations"),
        total("steps that new generations went back", "rolled_back", rolled_back),
    ]
