"""The chart's README and the comments on its values."""

import yaml
from charts.readme import README, VALUES, values, with_table

SOURCE = VALUES.read_text()


def test_table_is_what_the_values_say() -> None:
    assert README.read_text() == with_table(README.read_text(), SOURCE), "the values changed: run `make crds`"


def test_every_value_is_described() -> None:
    assert [value.path for value in values(SOURCE) if not value.text] == []


def test_every_value_is_in_the_table() -> None:
    listed = {value.path for value in values(SOURCE)}

    def covered(tree: dict[str, object], path: str = "") -> list[str]:
        missing = []
        for key, value in tree.items():
            here = f"{path}.{key}" if path else key
            if here not in listed:
                missing += covered(value, here) if isinstance(value, dict) and value else [here]
        return missing

    assert covered(yaml.safe_load(SOURCE)) == []


def test_comments_and_defaults_are_taken_as_helm_docs_takes_them() -> None:
    source = """\
# of no value

a:
  # -- What it is,
  # in two lines.
  b: {c: 1}
  d: x  # no comment above
"""
    assert values(source) == [("a.b", {"c": 1}, "What it is, in two lines."), ("a.d", "x", "")]
