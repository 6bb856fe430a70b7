"""Groups on a real API server: what is stored and shown of them, and what cannot be changed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.rounds_report import HolderPart, RoundsPart
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node
from tests.support.replicas import DEFAULTS, condition, pod_on, settle
from tests.support.scripted_fleet import ScriptedFleet

GATED = replace(DEFAULTS, feature_gates=FeatureGates(grouping=True))
SITES = {"edge-a": "north", "edge-b": "north", "edge-c": "South_1"}


@pytest.fixture(autouse=True)
def no_other_nodes(api: ApiServer) -> Iterator[None]:
    drop_nodes(api)
    yield
    drop_nodes(api)


def by_site(api: ApiServer, namespace: str) -> None:
    for node, site in SITES.items():
        make_node(api, node)
        api.kubectl("label", "node", node, f"{SITE_LABEL}={site}")
    api.apply(job(namespace, strategy={"grouping": "site"}))


def test_groups_are_stored_and_shown(api: ApiServer, namespace: str) -> None:
    by_site(api, namespace)
    fleet = ScriptedFleet()
    settle(api, fleet, namespace, GATED)
    for node in SITES:
        fleet.say(pod_on(api, namespace, node), TrainerState.WAITING)
    settle(api, fleet, namespace, GATED)
    settle(api, fleet, namespace, GATED)
    groups = get(api, "etj", "digits", namespace)["status"]["groups"]
    assert [(group["members"], group["generation"]) for group in groups] == [(2, 1), (1, 1)]
    assert groups[0]["name"] == "north" and groups[1]["name"].startswith("south-1-")
    shown = api.kubectl("get", "etj", "digits", "-n", namespace, "-o", "wide").stdout
    assert "GENERATION" in shown


def test_of_rounds_the_plan_names_holders_and_the_status_how_far_the_one_model_is(
    api: ApiServer, namespace: str
) -> None:
    nodes, fleet = ["edge-a", "edge-b"], ScriptedFleet()
    for node in nodes:
        make_node(api, node)
    api.apply(job(namespace, strategy={"grouping": "single", "localSteps": 8}))
    settle(api, fleet, namespace, GATED)
    pods = {worker_name(node): pod_on(api, namespace, node) for node in nodes}
    fleet.reached = dict.fromkeys(pods, True)
    for pod in pods.values():
        fleet.say(pod, TrainerState.WAITING)
    settle(api, fleet, namespace, GATED)
    ((plan, *_),) = [plans[::-1] for plans in fleet.plans.values()]
    assert plan.rounds and plan.rounds.local_steps == 8
    (holder,) = plan.rounds.holders
    for worker, pod in pods.items():
        served = plan.slice_for(worker)
        holds = worker == holder.worker
        assert served.rounds and len(served.rounds.groups) == (2 if holds else 0)
        says = HolderPart(name=holder.name, leads=True, council=(holder.name,), committed=9)
        read = RoundsPart(version=7, applied=6, merged=300, total=1200, groups=2)
        said = {"rounds": read, "holder": says if holds else None, **served.history._asdict()}
        fleet.say(pod, TrainerState.TRAINING, **said)
    settle(api, fleet, namespace, GATED)
    status = get(api, "etj", "digits", namespace)["status"]
    assert (status["progress"]["version"], status["progress"]["percent"]) == (7, 25)
    assert status["rounds"]["lead"] in nodes and len(status["rounds"]["holders"]) == 1
    header, line = api.kubectl("get", "etj", "digits", "-n", namespace, "-o", "wide").stdout.splitlines()
    assert line[header.index("VERSION") :].split()[0] == "7"
    told = {event["reason"] for event in items(api, "events", namespace)}
    assert {"HoldersNamed", "LeadChanged"} <= told


def test_the_gate_is_closed_as_it_comes(api: ApiServer, namespace: str) -> None:
    by_site(api, namespace)
    settle(api, ScriptedFleet(), namespace)
    assert not items(api, "pods", namespace)
    assert "featureGates.grouping" in condition(api, namespace, "Scheduled")["message"]


def test_how_workers_are_grouped_cannot_be_changed(api: ApiServer, namespace: str) -> None:
    by_site(api, namespace)
    other = '{"spec": {"strategy": {"grouping": "single"}}}'
    with pytest.raises(AssertionError, match=r"spec.strategy"):
        api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", other)
