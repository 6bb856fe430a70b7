"""Scripts as people have them beside the same in a job: how many lines are others, and whether three members
come to the loss of one process.

BEFORE and AFTER name other directories of such pairs, SCRIPTS some of them.
"""

import ast
import difflib
import importlib.util
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from examples import conversions

from benchmarks.harness import Goal, Row, end_when_told, median_row, publish
from edgetrain import link
from tests.support.trainers import coordinating, stop_all

BEFORE = Path(os.environ.get("BEFORE", conversions.BEFORE))
AFTER = [Path(os.environ["AFTER"])] if "AFTER" in os.environ else conversions.AFTER
NAMES = os.environ.get("SCRIPTS", "").split(",") if os.environ.get("SCRIPTS") else None
ROUNDED = {"closures", "mixed"}
"""Whose line search, or bf16, makes more of sums that come in another order."""
FRAMEWORKS = ("lightning", "peft", "transformers")


@dataclass(frozen=True)
class Pair:
    before: Path
    after: Path

    @property
    def name(self) -> str:
        return self.before.stem

    @property
    def own_data(self) -> bool:
        """Members train on what they draw, or have, themselves: one process does not come to the same."""
        return any(word in self.after.read_text() for word in ("session.steps(", "local=True"))


@dataclass(frozen=True)
class Outcome:
    pair: Pair
    lines: int
    models: int
    """Different ones, of three members."""
    apart: float | None
    """The last loss of three members from that of one, as a part of it; None where their data are others."""

    def __str__(self) -> str:
        loss = "" if self.apart is None else f", loss apart by {self.apart:.1e}"
        return f"{self.pair.name}: {self.lines} lines, {self.models} model{loss}"


def pairs() -> list[Pair]:
    """Those whose packages are here."""
    missing = [name for name in FRAMEWORKS if importlib.util.find_spec(name) is None]
    found = []
    for before, after in conversions.pairs(BEFORE, AFTER):
        if NAMES is not None and before.stem not in NAMES:
            continue
        if lacking := [name for name in missing if name in after.read_text()]:
            print(
                f"  {before.stem} is left out: no {lacking[0]} here (make test-frameworks has it installed)"
            )
            continue
        found.append(Pair(before, after))
    return found


def code(path: Path) -> list[str]:
    """Its statements, a line each, however they are laid out; neither comments nor docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return [line for line in ast.unparse(tree).splitlines() if line.strip()]


def changed(pair: Pair) -> int:
    """Lines that are others, or new."""
    different = difflib.ndiff(code(pair.before), code(pair.after))
    return sum(line.startswith("+ ") for line in different)


def trained(script: Path, workers: str) -> tuple[int, float]:
    """How many different models they end with, and their last loss."""
    with (
        tempfile.TemporaryDirectory(prefix="scripts-", ignore_cleanup_errors=True) as folder,
        coordinating(Path(folder), script=str(script)) as group,
    ):
        group.start(group.spawn_all(*workers))
        group.run()
        told = group.members[0].last(link.Progress)
        models = {member.last(link.Finished).digest for member in group.members}
        stop_all(group)
        return len(models), told.loss


def outcome(pair: Pair) -> Outcome:
    models, loss = trained(pair.after, "abc")
    apart = None
    if not pair.own_data:
        _, right = trained(pair.after, "a")
        apart = abs(loss - right) / abs(right)
    found = Outcome(pair, changed(pair), models, apart)
    print(f"  {found}", flush=True)
    return found


def main() -> int:
    end_when_told()
    found = [outcome(pair) for pair in pairs()]
    lines = [one.lines for one in found]
    known = [one for one in found if one.apart is not None]
    apart = [one.apart or 0.0 for one in known if one.pair.name not in ROUNDED]
    rounded = [one.apart or 0.0 for one in known if one.pair.name in ROUNDED]
    forked = [one for one in found if one.models > 1]
    rows = [
        Row("scripts", len(found), "scripts", None, (len(found),)),
        median_row("lines changed", lines, "lines", Goal("<=", 5)),
        Row("lines changed, at most", max(lines), "lines", Goal("<=", 8), (max(lines),)),
        Row("scripts with several models", len(forked), "scripts", Goal("==", 0), (len(forked),)),
        Row("last loss of three members from one's, at most", max(apart), "of it", Goal("<=", 1e-6), apart),
    ]
    if rounded:
        rows.append(Row("the same by bf16 or a line search", max(rounded), "of it", None, rounded))
    return 0 if publish("scripts", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
