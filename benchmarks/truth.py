"""Troubles as they befall jobs, and whether the status tells of each within its time."""

import os
import re
import sys
import time

from benchmarks.aftermath import restore
from benchmarks.bed import Bed, bed, edges
from benchmarks.evidence import explain
from benchmarks.harness import Goal, Row, publish
from benchmarks.status_cases import programs, refused, silent
from benchmarks.status_cases.case import Case, apply
from benchmarks.waiting import wait_for
from edgelab.demo.install import make_namespace
from edgelab.errors import LabError

CHOSEN = os.environ.get("CASES", "")
"""Only those whose name this regular expression finds."""
ALL_CASES = (*refused.CASES, *programs.CASES, *silent.CASES)
NODES = edges("100mbit", "50mbit", "50mbit", cpus=[0.5] * 3)


def main() -> int:
    cases = [case for case in ALL_CASES if re.search(CHOSEN, case.name)]
    with bed("truth", NODES) as test:
        apply(test, *refused.policies())
        told = [seconds_until_told(test, number, case) for number, case in enumerate(cases)]
    return 0 if publish("truth", rows(cases, told)) else 1


def seconds_until_told(bed: Bed, number: int, case: Case) -> float | None:
    """In a namespace of its own; None: not within its time."""
    name = f"truth-{number}"
    print(f"{case.name} ({name})", flush=True)
    make_namespace(bed.lab, name)
    test = Bed(bed.lab, bed.nodes, namespace=name)
    with test.journal.followed():
        seconds = played(test, case)
        restore(test)
        test.end()
    test.journal.close()
    bed.lab.kubectl("delete", "namespace", name, "--wait=false")
    print(f"  told after {seconds:.1f} s" if seconds is not None else "  NOT TOLD", flush=True)
    return seconds


def played(test: Bed, case: Case) -> float | None:
    try:
        with case.play(test) as told:
            began = time.monotonic()
            try:
                wait_for(told, case.seconds, case.name, every=0.5)
            except TimeoutError:
                explain(test, "truth-" + re.sub(r"\W+", "-", case.name))
                raise
            return time.monotonic() - began
    except (LabError, TimeoutError) as failed:
        print(f"  {failed}", flush=True)
        return None


def rows(cases: list[Case], told: list[float | None]) -> list[Row]:
    said = [seconds for seconds in told if seconds is not None]
    every = Row("cases told of in time", len(said), "cases", Goal("==", len(cases)), said)
    # What was not told has taken longer than it may.
    single = [
        Row(case.name, case.seconds if seconds is None else seconds, "s", Goal("<", case.seconds))
        for case, seconds in zip(cases, told, strict=True)
    ]
    return [every, *single]


if __name__ == "__main__":
    sys.exit(main())
