"""Write the chart's table of values into its README: python charts/readme.py.

A value is described as helm-docs has it, by a comment above it that begins with `# -- `. Values without
one of their own belong to the nearest above them that has one.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

CHART = Path(__file__).parent / "edgetrain"
README, VALUES = CHART / "README.md", CHART / "values.yaml"
BEGIN, END = "<!-- values: written by charts/readme.py -->\n", "<!-- end of values -->\n"
MARK = "# -- "


class Value(NamedTuple):
    path: str
    default: object
    text: str
    """Empty where there is no comment."""


def values(source: str) -> list[Value]:
    """All keys with a comment, and all leaves without one above them, in the file's order."""
    root = yaml.compose(source, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return list(_below(root, "", source.splitlines(), described=False))


def with_table(readme: str, source: str) -> str:
    """The README with its table made from these values."""
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = [
        f"| `{v.path}` | `{json.dumps(v.default)}` | {v.text.replace('|', chr(92) + '|')} |"
        for v in values(source)
    ]
    return "".join(
        [
            before,
            BEGIN,
            "| value | default | what it is |\n|---|---|---|\n",
            "\n".join(rows),
            "\n",
            END,
            after,
        ]
    )


def _below(node: yaml.MappingNode, path: str, lines: list[str], described: bool) -> Iterator[Value]:
    for key, child in node.value:
        here = f"{path}.{key.value}" if path else str(key.value)
        text = _comment_above(lines, key.start_mark.line)
        inner = isinstance(child, yaml.MappingNode) and child.value
        if text or not (inner or described):
            yield Value(here, _data(child), text)
        if inner and not child.flow_style:
            yield from _below(child, here, lines, described or bool(text))


def _comment_above(lines: list[str], number: int) -> str:
    found: list[str] = []
    for line in reversed(lines[:number]):
        stripped = line.strip()
        if not stripped.startswith("#"):
            return ""
        found.insert(0, stripped.removeprefix(MARK).removeprefix("# "))
        if stripped.startswith(MARK):
            return " ".join(found)
    return ""


def _data(node: yaml.Node) -> object:
    return yaml.safe_load(yaml.serialize(node))


def main() -> None:
    README.write_text(with_table(README.read_text(), VALUES.read_text()))


if __name__ == "__main__":
    main()
