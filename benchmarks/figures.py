"""The figures in docs/benchmarks.md, from the newest results: what is claimed is what was measured."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEADING = "## Figures\n"
FOREWORD = """
Written by each run from `benchmarks/results/`. *n*: single measurements behind a value, which is their
median where there are several. A row without a goal is there to be compared with.
"""


def figures(results: dict[str, dict[str, Any]]) -> str:
    """A table for each benchmark, as Markdown."""
    parts = [FOREWORD]
    for name, result in sorted(results.items()):
        machine = result["machine"]
        on = f"{machine['cores']} cores, {machine['memory_gib']:g} GiB, {machine['architecture']}"
        parts.append(f"\n### {name}\n\n{on}, Linux {machine['kernel']}.\n")
        parts.append("\n| what | value | goal | met | n |\n|---|---|---|---|---|\n")
        parts += [_line(row) for row in result["rows"]]
    return "".join(parts)


def _line(row: dict[str, Any]) -> str:
    met = {None: "", True: "yes", False: "**no**"}[row["met"]]
    value = f"{row['value']:.3g}" if isinstance(row["value"], float) else row["value"]
    return (
        f"| {row['what']} | {value} {row['unit']} | {row['goal'] or ''} | {met} | {len(row['samples'])} |\n"
    )


def write_figures() -> None:
    """Replace what stands below the heading."""
    results = {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
    head, _, _ = PAGE.read_text().partition(HEADING)
    PAGE.write_text(head + HEADING + figures(results))


if __name__ == "__main__":
    write_figures()
