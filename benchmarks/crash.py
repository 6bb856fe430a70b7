"""The operator dies after each of its calls to the API server in turn, or a call meets a fault: whether the
job comes to the same end. And how long a job waits for another leader, where the one that led is killed.
"""

import asyncio
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.failover import failovers
from benchmarks.harness import Goal, Row, end_when_told, publish
from edgetrain_operator.kube.client import Credentials
from tests.support.apiserver import ApiServer, establish, running
from tests.support.job_state import differences
from tests.support.job_story import ACTS, Lived, Story
from tests.support.replicas import FailingKube
from tests.support.struck import CRASHES, FAULTS, Fault, Strike

EVERY = int(os.environ.get("EVERY", "1"))
"""Of so many calls one is struck."""
PAIRS = 5
HOUR = 3600.0
KILLS = int(os.environ.get("KILLS", "10"))


@dataclass
class Found:
    """Over stories of one kind."""

    tried: int = 0
    other_ends: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


class Stories:
    """All on one API server; the first has no fault, and the others are held against it."""

    def __init__(self, kube: FailingKube, usual: Lived, calls: list[str]) -> None:
        self._kube, self._usual, self.calls = kube, usual, calls

    @classmethod
    async def begin(cls, kube: FailingKube) -> "Stories":
        strike = Strike()
        return cls(kube, await Story(kube, strike).live(), strike.calls)

    @property
    def writes(self) -> list[int]:
        return [n for n, call in enumerate(self.calls) if not call.startswith("GET ")]

    async def struck(self, fault: Fault | None, at: list[int]) -> Found:
        """One story for each of these calls. Without a fault: another operator leads while it waits."""
        found = Found()
        for number in at[::EVERY]:
            strike = Strike((number,), fault)
            story = Story(self._kube, strike)
            strike.fault = fault or story.overtaken
            await self._judge(f"{number} {self.calls[number]}", story, found)
        return found

    async def by_clocks(self) -> Found:
        """The operator's clock jumps by an hour before one of the acts."""
        found = Found()
        for act, seconds in itertools.product(ACTS, (HOUR, -HOUR)):
            story = Story(self._kube, Strike(), {act: seconds})
            await self._judge(f"{seconds:+g} s before: {act}", story, found)
        return found

    async def by_two(self) -> Found:
        found = Found()
        for number in range(PAIRS):
            await self._judge(f"pair {number}", Story(self._kube, Strike(), pair=True), found)
        return found

    async def _judge(self, what: str, story: Story, found: Found) -> None:
        found.tried += 1
        try:
            lived = await story.live()
        except AssertionError as error:
            found.other_ends.append(f"{what}: {error}")
            return
        if differs := differences(self._usual.states, lived.states):
            found.other_ends.append(f"{what}: {'; '.join(differs)}")
        # By a clock that is wrong, pods are old when they are made, and it is told of each.
        beyond = lived.told_beyond(self._usual) if story.by_the_clock else []
        if twice := [*lived.doubled, *beyond]:
            found.twice.append(f"{what}: {', '.join(twice)}")


def told(what: str, found: Found) -> Iterator[Row]:
    for line in (*found.other_ends, *found.twice):
        print(f"  {what}: {line}", flush=True)
    yield Row(f"{what}: tried", found.tried, "times")
    yield Row(f"{what}: another end state", len(found.other_ends), "times", Goal("==", 0))
    yield Row(f"{what}: something there or told twice", len(found.twice), "times", Goal("==", 0))


async def stories(api: ApiServer) -> list[Row]:
    kube = await FailingKube.connect(Credentials(str(api.kubeconfig)))
    assert isinstance(kube, FailingKube)
    try:
        test = await Stories.begin(kube)
        everything = list(range(len(test.calls)))
        parts = {
            "the operator dies before a call": await test.struck(CRASHES["dies before"], everything),
            "it dies before a write is answered": await test.struck(CRASHES["dies after"], test.writes),
            "another leads while a write waits": await test.struck(None, test.writes),
            **{f"a write meets {name}": await test.struck(f, test.writes) for name, f in FAULTS.items()},
        }
        parts |= {
            "two operators lead all the time": await test.by_two(),
            "the clock jumps by an hour": await test.by_clocks(),
        }
        return [row for what, found in parts.items() for row in told(what, found)]
    finally:
        await kube.close()


def killed(api: ApiServer, folder: Path) -> Row:
    took = failovers(api, folder, KILLS)
    what = "from the leader's death to the next reconcile of a job, by another replica, worst"
    return Row(what, max(took), "s", Goal("<", 10), took)


def main() -> int:
    end_when_told()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        establish(api)
        rows = [*asyncio.run(stories(api)), killed(api, Path(folder))]
    return 0 if publish("crash", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
