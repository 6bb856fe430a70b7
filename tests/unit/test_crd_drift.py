"""The CRD in crds/ is the one that the models say, and is fit for an API server to price and explain."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgetrain_protocol import reference
from edgetrain_protocol.crd import FILE, custom_resource_definition, render
from edgetrain_protocol.rules import VALIDATIONS
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


def our_fields() -> list[tuple[str, Schema]]:
    root = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return [entry for part in ("spec", "status") for entry in walk(root["properties"][part], part)]


def test_file_is_what_the_models_say() -> None:
    assert (CRDS / FILE).read_text() == render(), "the models changed: run `make crds`"


def test_file_says_what_was_generated() -> None:
    assert yaml.safe_load((CRDS / FILE).read_text()) == custom_resource_definition()


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
    root = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rules = [rule for _, schema in walk(root, "") for rule in schema.get(VALIDATIONS, ())]
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
