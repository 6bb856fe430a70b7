"""What every benchmark shares: rows with computed verdicts, the table, the results file.

A row's `met` is computed from its value and its goal, never written by hand.
"""

import json
import os
import platform
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.figures import RESULTS, write_figures

Found = TypeVar("Found")

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "==": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
}


@dataclass(frozen=True)
class Goal:
    """A bound to reach, such as `<= 0.3`."""

    compare: str
    bound: float

    def met(self, value: float) -> bool:
        return COMPARE[self.compare](value, self.bound)

    def __str__(self) -> str:
        return f"{self.compare} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One measured figure.

    `value` is in `unit`; `samples` are the single measurements behind it; a row without a goal is
    there to be compared with, such as a baseline.
    """

    what: str
    value: float
    unit: str
    goal: Goal | None = None
    samples: Sequence[float] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        verdict = self.goal.met(self.value) if self.goal else None
        goal = str(self.goal) if self.goal else None
        return {**asdict(self), "goal": goal, "met": verdict, "samples": list(self.samples)}


def median_row(what: str, samples: Sequence[float], unit: str, goal: Goal | None = None) -> Row:
    """The median of `samples` as a row.

    Raises:
        ValueError: there are no samples; a figure without a measurement is refused.
    """
    if not samples:
        raise ValueError(f"nothing was measured for {what!r}")
    return Row(what, statistics.median(samples), unit, goal, tuple(samples))


def end_when_told() -> None:
    """Leave by SystemExit on SIGTERM, so that what was begun is ended."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def by_turns(what: str, ways: Mapping[str, Callable[[Path], Found]], rounds: int) -> dict[str, list[Found]]:
    """What each way found, round by round: one way after another, so that all meet the same machine. Each
    run has a folder of its own, which is gone afterwards."""
    found: dict[str, list[Found]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, measure in ways.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                found[way].append(measure(Path(folder)))
            print(f"  {what}, round {number + 1}: {way} {found[way][-1]}", flush=True)
    return found


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "architecture": platform.machine(),
    }


def table(name: str, rows: Sequence[Row]) -> Table:
    """The rows as a person reads them."""
    drawn = Table(title=name)
    for header in ("what", "value", "unit", "goal", "met", "n"):
        drawn.add_column(header)
    for row in rows:
        verdict = "" if row.goal is None else ("yes" if row.goal.met(row.value) else "NO")
        goal = str(row.goal) if row.goal else "-"
        drawn.add_row(row.what, f"{row.value:.4g}", row.unit, goal, verdict, str(len(row.samples)))
    return drawn


def show(name: str, rows: Sequence[Row]) -> bool:
    """Print the table; whether every goal was met."""
    Console().print(table(name, rows))
    return all(row.goal is None or row.goal.met(row.value) for row in rows)


def publish(name: str, rows: Sequence[Row]) -> bool:
    """As `show`, and write results/NAME.json and docs/."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"rows": [row.as_json() for row in rows], "machine": machine()}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    write_figures()
    return show(name, rows)
