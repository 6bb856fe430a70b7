"""What of the chart can be judged without Helm: its copy of the CRD, its values and their schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgetrain_protocol.crd import DIRECTORIES, FILES, render

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "edgetrain"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE = ("annotations", "labels", "podAnnotations", "podLabels", "resources", "nodeSelector", "affinity")
"""Values handed on to Kubernetes as they are."""
NOT_TOGETHER = ("image.digest", "trainer.image.tag", "fleet.tls.secretName", "serviceAccount.create")
"""Which have no effect beside others of that file, or take others' effect away; tried alone in tests/api."""


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        here = (*path, key)
        if isinstance(value, dict) and key not in FREE:
            yield from leaves(value, here)
        else:
            yield here


def at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def schema_at(path: tuple[str, ...]) -> Any:
    found = SCHEMA
    for key in path:
        found = found["properties"][key]
        if "$ref" in found:
            found = SCHEMA["definitions"][found["$ref"].rpartition("/")[2]]
    return found


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_crd_is_what_the_models_say(directory: str, file: str) -> None:
    said = render(FILES[file]())
    assert (ROOT / directory / file).read_text() == said, "the models changed: run `make crds`"


@pytest.mark.parametrize("path", list(leaves(VALUES)), ids=".".join)
def test_schema_knows_the_value(path: tuple[str, ...]) -> None:
    assert schema_at(path)


def test_schema_refuses_unknown_values_everywhere() -> None:
    groups = {path[:n] for path in leaves(VALUES) for n in range(len(path))}
    assert [group for group in groups if schema_at(group).get("additionalProperties") is not False] == []


def test_one_ci_file_sets_every_value_to_another() -> None:
    everything = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
    others = [
        p
        for p in leaves(VALUES)
        if ".".join(p) not in ("crds.enabled", "networkPolicy.enabled", *NOT_TOGETHER)
    ]
    assert [".".join(p) for p in others if at(everything, p) == at(VALUES, p)] == []
