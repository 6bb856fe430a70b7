"""Write docs/conversions.md, the lines that change in each kind of script: python examples/conversions.py."""

import ast
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "conversions.md"
HEAD = """# Conversions

What changes in scripts of each kind, from [examples/before](../examples/before) to
[examples/scripts](../examples/scripts) and [examples/frameworks](../examples/frameworks). Tests run what they
become, alone and in groups that lose and get members; `make bench NAME=scripts` counts their lines.
[programs.md](programs.md) says what each call does. `python examples/conversions.py` writes this page.
"""


BEFORE, AFTER = HERE / "before", (HERE / "scripts", HERE / "frameworks")


def pairs(before: Path = BEFORE, after: Sequence[Path] = AFTER) -> Iterator[tuple[Path, Path]]:
    """Each script before, and what it becomes, from one of the directories `after`."""
    for script in sorted(before.glob("*.py")):
        yield script, next(path for folder in after if (path := folder / script.name).exists())


def code(path: Path) -> list[str]:
    """Its lines after the docstring."""
    text = path.read_text()
    first = ast.parse(text).body[0]
    return text.splitlines()[first.end_lineno :]


def section(before: Path, after: Path) -> str:
    said = ast.get_docstring(ast.parse(after.read_text())) or ""
    lines = list(difflib.unified_diff(code(before), code(after), n=1, lineterm=""))[2:]
    written = ["" if line.startswith("@@") else line for line in lines if line[1:].strip()]
    shown = "\n".join(written).strip("\n")
    link = f"[{after.name}](../examples/{after.parent.name}/{after.name})"
    return f"\n## {after.stem}\n\n{link}: {said}\n\n```diff\n{shown}\n```\n"


def page() -> str:
    return HEAD + "".join(section(before, after) for before, after in pairs())


if __name__ == "__main__":
    PAGE.write_text(page())
