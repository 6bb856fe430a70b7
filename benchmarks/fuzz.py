"""Jobs whose spec, status, stored plan or reports are nearly right, looked after by an operator in memory:
what cannot be had is refused with a reason, all else comes to rest, and no promise is broken.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable

from benchmarks.harness import Goal, Row, end_when_told, publish, show
from tests.support.fuzzing import Outcome, tried

CASES = int(os.environ.get("CASES", "10000"))
SEED = int(os.environ.get("SEED", "0"))
"""Of the first case; each is made from its own alone."""
SHOWN = 20
NONE = Goal("==", 0)
FAULTS = {
    "crash": "an exception gets out",
    "unsettled": "a turn does not come to rest",
    "promise": "a promise is broken",
}


def main() -> int:
    end_when_told()
    logging.disable(logging.CRITICAL)
    found = [*tell(tried(SEED + number) for number in range(CASES))]
    # Figures of some cases alone would take the place of all of them.
    told = publish if (CASES, SEED) == (10_000, 0) else show
    return 0 if told("fuzz", rows(found)) else 1


def tell(outcomes: Iterable[Outcome]) -> Iterable[Outcome]:
    """The same, with the first faults and how far it is on the terminal."""
    shown = 0
    for number, outcome in enumerate(outcomes, start=1):
        for fault in outcome.faults[: SHOWN - shown]:
            print(f"  seed {outcome.seed} ({outcome.scene}): {fault.kind}: {fault.text}", flush=True)
            shown += 1
        if number % 1000 == 0:
            print(f"  {number} cases", flush=True)
        yield outcome


def rows(found: list[Outcome]) -> list[Row]:
    with_fault = Counter(kind for outcome in found for kind in {fault.kind for fault in outcome.faults})
    refused = sum(bool(outcome.refused) for outcome in found)
    return [
        Row("cases", len(found), "cases"),
        *(Row(f"cases in which {what}", with_fault[kind], "cases", NONE) for kind, what in FAULTS.items()),
        Row("cases in which something is refused, with a reason", refused, "cases"),
        Row("cases in which all is reconciled", len(found) - refused, "cases"),
    ]


if __name__ == "__main__":
    sys.exit(main())
