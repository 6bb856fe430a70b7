"""The lead of the rounds is killed twenty times, at random moments, by SIGKILL: two groups of one worker,
three holders, over TLS on loopback.

Each position that is trained on adds one to the number of that position, one part in as many groups as there
are: so the last version itself says what was lost, and what is in it twice.
"""

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.harness import Goal, Row, end_when_told, median_row, publish
from benchmarks.waiting import wait_for
from edgetrain.aggregator.client import HolderAway, HolderRefuses
from edgetrain.aggregator.rivals import HEARD_SECONDS
from edgetrain.rounds.entries import Merge
from tests.support.rounds_bed import NOBODY, RoundsBed, Running

KILLS = int(os.environ.get("KILLS", "20"))
SAMPLES = 2000 * KILLS
STEP_SECONDS = 0.05
BETWEEN_SECONDS = (0.5, 2.5)
ELECTION_SECONDS = 1.0
"""Beside what it takes to notice, and the rest of the round."""


class Versions(threading.Thread):
    """When each version was seen first, by somebody who asks whichever holder leads."""

    def __init__(self, bed: RoundsBed) -> None:
        super().__init__(name="versions", daemon=True)
        self._bed, self.at = bed, dict[int, float]()
        self.digests: set[tuple[int, str]] = set()
        """Of what each adds: two of one number would be two histories."""
        self.ended = threading.Event()

    def run(self) -> None:
        known = 0
        with self._bed.client() as asked:
            while not self.ended.is_set():
                with suppress(HolderAway, HolderRefuses):
                    page = asked.log(known, NOBODY).page
                    known = page.after + len(page.bodies)
                    for body in page.bodies:
                        if isinstance(body, Merge):
                            self.at.setdefault(body.version, time.monotonic())
                            self.digests.add((body.version, body.digest))
                time.sleep(0.02)

    def after(self, moment: float) -> float | None:
        """When the first version came that was begun after this moment."""
        return min((at for at in self.at.values() if at > moment), default=None)


def main() -> int:
    end_when_told()
    with tempfile.TemporaryDirectory() as folder:
        bed = RoundsBed(Path(folder), samples=SAMPLES, holders=3)
        versions = Versions(bed)
        try:
            bed.start()
            groups = [bed.start_group(name, step_seconds=STEP_SECONDS) for name in ("a", "b")]
            bed.go(*groups)
            bed.hold_together()
            versions.start()
            wait_for(lambda: len(versions.at) > 12, 60.0, "rounds without a fault")
            usual = statistics.median(later - at for at, later in pairwise(sorted(versions.at.values())))
            took = [killed(bed, versions) for _ in range(KILLS)]
            return 0 if publish("leads", rows(bed, groups, versions, usual, took)) else 1
        finally:
            versions.ended.set()
            bed.close()


def killed(bed: RoundsBed, versions: Versions) -> float:
    """Seconds from the lead's death to the next version; then it is back, one of three that hold the log."""
    time.sleep(random.uniform(*BETWEEN_SECONDS))
    lead = bed.lead()
    bed.kill_holder(lead)
    began = time.monotonic()
    found = wait_for(lambda: versions.after(began), 60.0, "the next version", every=0.01)
    bed.start_holder(lead)
    bed.hold_together()
    return found - began


def rows(
    bed: RoundsBed, groups: list[Running], versions: Versions, usual: float, took: list[float]
) -> list[Row]:
    ends = [group.finished() for group in groups]
    kept = bed.ended()
    merged = kept.model.vector * len(groups)
    bound, nothing = HEARD_SECONDS + ELECTION_SECONDS + usual, Goal("==", 0)
    others = [number for number, _ in versions.digests if number > kept.books.version]
    forked = len(versions.digests) - len(versions.at)
    differing = sum(not np.array_equal(end, kept.model.vector) for end in ends)
    return [
        Row("from the lead's death to the next version, worst", max(took), "s", Goal("<=", bound), took),
        median_row("the same, median", took, "s"),
        Row("a round without a fault, median", usual, "s"),
        Row(f"versions lost, of {kept.books.version}", len(others), "versions", nothing),
        Row("versions forked", forked, "versions", nothing),
        Row("samples lost", float(np.sum(merged < 1)), "samples", nothing),
        Row("samples merged twice", float(np.sum(merged > 1)), "samples", nothing),
        Row("samples issued anew", float(kept.books.data.reissued), "samples", nothing),
        Row("groups that end with another model", differing, "groups", nothing),
    ]


if __name__ == "__main__":
    sys.exit(main())
