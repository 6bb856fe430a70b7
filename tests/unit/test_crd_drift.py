"""The CRD in crds/ is the one that the models say, and is fit for an API server to price and explain."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgetrain_protocol import reference
from edgetrain_protocol.crd import FILES, custom_resource_definition, render, runtime_definition
from edgetrain_protocol.rules import VALIDATIONS
from edgetrain_protocol.runtime import CHANGEABLE
from edgetrain_protocol.status import Condition, JobProgress, JobStatus, WorkerCounts

CRDS = Path(__file__).parents[2] / "crds"
Schema = dict[str, Any]


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema below and with this one, by path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from walk(schema[key], path + mark)


def schema_of(definition: dict[str, Any]) -> Schema:
    found: Schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def our_fields() -> list[tuple[str, Schema]]:
    job, runtime = schema_of(custom_resource_definition()), schema_of(runtime_definition())
    parts = [("spec", job["properties"]["spec"]), ("status", job["properties"]["status"])]
    parts.append(("spec of a runtime", runtime["properties"]["spec"]))
    return [entry for path, schema in parts for entry in walk(schema, path)]


@pytest.mark.parametrize("file", FILES)
def test_file_is_what_the_models_say(file: str) -> None:
    text = (CRDS / file).read_text()
    assert text == render(FILES[file]()), "the models changed: run `make crds`"
    assert yaml.safe_load(text) == FILES[file]()


def test_what_a_runtime_may_say_has_no_default_that_looks_as_if_it_were_said() -> None:
    """What is not said is told from what is by its absence, in both."""
    fields = dict(our_fields())
    assert "Where unset: 30." in fields["spec.strategy.checkpointEverySeconds"]["description"]
    shared = [path for path in CHANGEABLE if f"spec of a runtime.{path}" in fields]
    assert len(shared) > 40
    for path in shared:
        for spec in ("spec", "spec of a runtime"):
            schema = fields[f"{spec}.{path}"]
            assert "properties" in schema or "default" not in schema, path


def test_reference_is_what_the_models_say() -> None:
    assert (CRDS.parent / reference.FILE).read_text() == reference.render(), (
        "the models changed: run `make crds`"
    )


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_explained(part: str) -> None:
    fields = [(path, s) for path, s in our_fields() if path.startswith(part) and path[-1] not in "]}"]
    silent = [path for path, schema in fields if not schema.get("description")]
    assert len(fields) > 40
    assert silent == []


def test_everything_has_a_bound() -> None:
    needed = {"array": "maxItems", "string": "maxLength"}
    loose = [
        path
        for path, schema in our_fields()
        if (bound := needed.get(schema.get("type", ""))) and bound not in schema and "enum" not in schema
    ]
    maps = [
        p
        for p, s in our_fields()
        if s.get("type") == "object" and "properties" not in s and "maxProperties" not in s
    ]
    assert loose + maps == []


def test_integers_of_the_spec_have_both_ends() -> None:
    ours = [
        (p, s)
        for p, s in our_fields()
        if p.startswith("spec") and "As in Kubernetes'" not in s.get("description", "")
    ]
    open_ended = [p for p, s in ours if s.get("type") == "integer" and not {"minimum", "maximum"} <= s.keys()]
    assert open_ended == []


def test_schema_is_structural() -> None:
    for path, schema in our_fields():
        assert not {"$ref", "anyOf", "allOf", "oneOf", "title"} & schema.keys(), path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path


def test_every_rule_says_what_to_change() -> None:
    roots = [schema_of(definition()) for definition in FILES.values()]
    rules = [rule for root in roots for _, schema in walk(root, "") for rule in schema.get(VALIDATIONS, ())]
    assert len(rules) > 20
    assert [r["rule"] for r in rules if ":" not in r["message"] and "or leave it out" not in r["message"]
            and "not both" not in r["message"]] == []  # fmt: skip


def test_lists_say_how_they_merge() -> None:
    by_path = dict(our_fields())
    assert by_path["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert by_path["status.nodes"]["x-kubernetes-list-type"] == "atomic"
    assert all("x-kubernetes-list-type" in s for s in by_path.values() if s.get("type") == "array")


def test_columns_for_people_are_worked_out() -> None:
    def condition(kind: str, status: str, reason: str) -> Condition:
        return Condition.model_validate(
            {"type": kind, "status": status, "reason": reason, "lastTransitionTime": "2026-01-01T00:00:00Z"}
        )

    status = JobStatus(
        workers=WorkerCounts(desired=5, ready=4),
        conditions=[condition("Training", "True", "Enough"), condition("Degraded", "True", "MemberLost")],
    )
    written = status.to_wire()
    assert written["workers"]["summary"] == "4/5"
    assert written["reason"] == "MemberLost"
    assert JobStatus.model_validate(written) == status


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_diverged_loss_can_still_be_written(loss: float) -> None:
    """JSON has no NaN: the API server would refuse the status, and with it everything else that it says."""
    written = JobProgress(step=7, loss=loss).to_wire()
    assert "loss" not in written
    assert json.loads(json.dumps(written, allow_nan=False))["step"] == 7


def test_figures_are_for_people() -> None:
    progress = JobProgress(loss=0.26739293336868286, samples_per_second=4539.51234)
    assert (progress.loss, progress.samples_per_second) == (0.2674, 4540.0)
    assert JobProgress.from_wire(json.dumps(progress.to_wire())) == progress
