"""What a job may ask for, as lists of the platform team's have it: the rules alone.

That the chart's policy has the same ones is tried on an API server: tests/api/test_jobs_allowed.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgetrain_operator.core.actions import Create
from edgetrain_operator.core.allowed import Allowed, not_allowed
from edgetrain_operator.core.model import Defaults
from edgetrain_operator.core.naming import identity_secret_name, pod_name
from edgetrain_operator.core.network_policy import NetworkPolicy
from edgetrain_operator.settings import Settings
from edgetrain_protocol.job import JobSpec
from tests.support.world import DEFAULTS, World, trained

CHART = Path(__file__).parents[2] / "charts" / "edgetrain"
SYSTEM: dict[str, Any] = {"template": {"spec": {"priorityClassName": "system-node-critical"}}}


def refused(spec: dict[str, Any], **lists: Any) -> str:
    return not_allowed(JobSpec.model_validate(spec), Allowed.model_validate(lists))


def reading(secret: str) -> dict[str, Any]:
    return {"template": {"spec": {"volumes": [{"name": "v", "secret": {"secretName": secret}}]}}}


def test_a_trainers_memory_is_limited_by_default_as_the_chart_says() -> None:
    percent = yaml.safe_load((CHART / "values.yaml").read_text())["trainer"]["memoryLimitPercent"]
    assert Defaults.trainer_memory_percent == Settings.trainer_memory_percent == percent > 0


def test_defaults_are_the_charts() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["jobs"]["allowed"]
    assert Allowed.model_validate_json(json.dumps(values)) == Allowed()
    assert set(Allowed().to_wire()) == set(values), "a value that the operator does not know, or the chart"


def test_who_may_dial_workers_is_by_default_what_the_chart_says() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["jobs"]["networkPolicy"]
    assert NetworkPolicy.model_validate_json(json.dumps(values)) == NetworkPolicy()


@pytest.mark.parametrize(
    ("entries", "value", "taken"),
    [
        (["a"], "a", True),
        (["a"], "ab", False),
        (["a*"], "ab", True),
        (["b", "a*"], "ab", True),
        (["a*"], "ba", False),
        (["/srv/"], "/srv", True),
        (["/srv/"], "/srv/", True),
        (["/srv/"], "/srv/x/y", True),
        (["/srv/"], "/srvx", False),
        (["/"], "/", True),
        ([], "a", False),
        (["*"], "a", True),
    ],
)
def test_an_entry_is_a_name_a_beginning_or_what_is_below(entries: list[str], value: str, taken: bool) -> None:
    said = refused(
        {"template": {"spec": {"volumes": [{"name": "v", "hostPath": {"path": value}}]}}}, hostPaths=entries
    )
    assert (said == "") == taken


@pytest.mark.parametrize(
    ("entries", "taken"),
    [(["*"], False), (["s*"], False), (["system-*"], True), (["system-node-critical"], True)],
)
def test_classes_of_kubernetes_own_have_to_be_named(entries: list[str], taken: bool) -> None:
    assert (refused(SYSTEM, priorityClasses=entries) == "") == taken


@given(job=st.from_regex(r"[a-z]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True), node=st.text())
def test_no_list_opens_a_pods_identity_by_chance(job: str, node: str) -> None:
    secret = identity_secret_name(pod_name(job, "uid", node, 1))
    for entries in (["*"], [f"{job[0]}*"], [secret[:-1] + "*"]):
        assert f"Secret {secret} is not allowed" in refused(reading(secret), secrets=entries)
    assert refused(reading(secret), secrets=[secret]) == "", "who has one that is called so may say so"


def test_what_the_chart_has_the_operator_keep_is_known_by_name() -> None:
    assert all(refused(reading(secret)) for secret in ("x-operator-keyring", "x-fleet-tls"))
    assert refused(reading("x-operator-keyring-of-mine")) == ""


def test_all_that_is_not_allowed_is_named_once_and_long_lists_are_cut() -> None:
    variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    spec = {**SYSTEM, "program": {"image": "x", "env": [variable, variable | {"name": "OTHER"}]}}
    said = refused(spec, secrets=list("abcdefg"), registries=["y/"])
    assert [part.partition(" is not")[0] for part in said.split("; ")] == [
        "image x",
        "priority class system-node-critical",
        "Secret s",
    ]
    assert "jobs.allowed.secrets of the edgetrain chart is [a, b, c, d, e, ...]" in said
    labels = {f"k{n}": "v" for n in range(9)}
    many = refused({"template": {"metadata": {"labels": labels}}}, labels=[])
    assert many.endswith("; and 4 more")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["sources", "secret", "name", "path", "driver", "x"]), inner, max_size=3
        )
    ),
)


@given(
    kind=st.sampled_from(["projected", "secret", "csi", "iscsi", "hostPath", "image"]),
    source=ANY.filter(lambda source: isinstance(source, dict)),
)
def test_sources_of_any_shape_end_nobody(kind: str, source: Any) -> None:
    refused({"template": {"spec": {"volumes": [{"name": "v", kind: source}]}}}, secrets=[], hostPaths=[])


@pytest.mark.attack(11)
def test_a_job_that_asks_for_too_much_gets_no_worker_and_is_told_why() -> None:
    world = World.of("a", "b", **SYSTEM)
    decision = world.settle()
    assert not world.pods and not any(isinstance(action, Create) for action in decision.actions)
    scheduled = world.condition("Scheduled")
    assert (scheduled.status, scheduled.reason) == ("False", "NotAllowed")
    assert scheduled.message.startswith("no new worker is made: priority class system-node-critical is not")
    assert world.condition("Training").reason == "NotAllowed"
    assert world.told.count("NotAllowed") == 1


def test_what_trains_trains_on_when_less_is_allowed() -> None:
    world = trained("a", "b", template={"spec": {"priorityClassName": "urgent"}})
    strict = Allowed.model_validate({"priorityClasses": []})
    world.defaults = type(DEFAULTS)(DEFAULTS.trainer_image, DEFAULTS.fleet_address, allowed=strict)
    world.settle()
    assert world.members == ["a", "b"] and world.condition("Training").status == "True"
    world.remove_pod("b")
    world.settle()
    assert [pod.node for pod in world.pods.values()] == ["a"]
    world.defaults = DEFAULTS
    world.settle()
    assert len(world.pods) == 2
