"""Which nodes have a worker, and what the API's objects say about them."""

from dataclasses import replace
from typing import Any

import pytest

from edgetrain_operator.core.model import NodeView, Taint
from edgetrain_operator.core.placement import place, tolerations
from edgetrain_operator.core.selectors import first_not_tolerated, selects
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.pods import LabelSelector
from tests.support.world import START, edge_node

NOW = START


def a_spec(**spec: Any) -> JobSpec:
    return JobSpec.model_validate(spec)


def placed(*nodes: NodeView, holders: tuple[str, ...] = (), senior: tuple[str, ...] = (), **spec: Any) -> Any:
    return place({n.name: n for n in nodes}, a_spec(**spec), holders, senior, NOW)


CASES: list[tuple[dict[str, Any], str]] = [
    ({"ready": False}, "not Ready"),
    ({"unschedulable": True}, "cordoned"),
    ({"deleting": True}, "being deleted"),
    ({"kubelet": "v1.28.15+k3s1"}, "older than 1.29"),
    ({"taints": (Taint("gpu", "", "NoSchedule"),)}, "taint gpu:NoSchedule is not tolerated"),
    ({"taints": (Taint("node.kubernetes.io/unreachable", "", "NoSchedule"),)}, "unreachable"),
]


@pytest.mark.parametrize(("changes", "why"), CASES)
def test_a_node_that_gets_no_new_pod_keeps_the_one_it_has(changes: dict[str, Any], why: str) -> None:
    node = edge_node("a", **changes)
    without = placed(node)
    assert without.add == () and why in without.refused["a"]
    having = placed(node, holders=("a",))
    assert having.keep == {"a"} and not having.remove


@pytest.mark.parametrize("kubelet", ["v1.29.0", "v1.36.3", "v1.32.10-kubeedge-v1.23.0", ""])
def test_newer_kubelets_and_those_that_have_not_said_are_taken(kubelet: str) -> None:
    assert placed(edge_node("a", kubelet=kubelet)).add == ("a",)


def test_only_edge_nodes_that_the_selector_picks_and_nobody_excludes() -> None:
    picked = edge_node("a", labels={"node-role.kubernetes.io/edge": "", "site": "x"})
    nodes = (picked, edge_node("b"), NodeView("cloud", {"site": "x"}), replace(picked, name="c"))
    chosen = placed(*nodes, nodes={"selector": {"matchLabels": {"site": "x"}}, "exclude": ["c"]})
    assert chosen.add == ("a",)
    assert chosen.refused == {}


def test_a_node_that_is_no_longer_asked_for_loses_its_worker() -> None:
    gone = placed(edge_node("a", labels={}), edge_node("b"), holders=("a", "b"), nodes={"exclude": ["b"]})
    assert gone.keep == frozenset()
    assert "labels" in gone.remove["a"] and "exclude" in gone.remove["b"]


def test_a_node_whose_object_is_gone_keeps_its_worker() -> None:
    """Its pod is the garbage collector's business: a node's object comes and goes while its pods train."""
    assert placed(holders=("a",)).keep == {"a"}


def test_of_too_many_the_members_of_the_plan_stay() -> None:
    nodes = [edge_node(name) for name in "abcd"]
    chosen = placed(*nodes, holders=("a", "b", "c"), senior=("b", "c"), nodes={"max": 2})
    assert chosen.keep == {"b", "c"}
    assert set(chosen.remove) == {"a"} and chosen.add == ()


def test_room_is_given_in_order_of_names() -> None:
    chosen = placed(*(edge_node(name) for name in "dcba"), holders=("d",), nodes={"max": 3})
    assert chosen.keep == {"d"} and chosen.add == ("a", "b")
    assert chosen.refused == {"c": "spec.nodes.max is 3"}


def test_join_delay_counts_from_ready() -> None:
    node = edge_node("a", ready_since=NOW - 10)
    waiting = placed(node, elastic={"joinDelaySeconds": 30})
    assert waiting.add == () and waiting.look_again_at == NOW + 20
    assert placed(node, elastic={"joinDelaySeconds": 10}).add == ("a",)


def test_a_user_may_tolerate_a_taint_for_all_nodes_or_for_a_class() -> None:
    tainted = edge_node("a", taints=(Taint("edge", "yes", "NoSchedule"),))
    toleration = {"key": "edge", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    assert placed(tainted, template={"spec": {"tolerations": [toleration]}}).add == ("a",)
    of_class = {
        "selector": {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]},
        "tolerations": [toleration],
    }
    assert placed(tainted, overrides=[of_class]).add == ("a",)
    assert len(tolerations(a_spec(overrides=[of_class]), tainted)) == 3


SELECTIONS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"matchLabels": {"a": "1"}}, True),
    ({"matchLabels": {"a": "2"}}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
    ({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False),
    ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
    ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
]


@pytest.mark.parametrize(("selector", "picks"), SELECTIONS)
def test_selectors_read_as_the_api_server_reads_them(selector: dict[str, Any], picks: bool) -> None:
    assert selects(LabelSelector.model_validate(selector), {"a": "1"}) is picks


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations_read_as_the_scheduler_reads_them(toleration: dict[str, str], tolerated: bool) -> None:
    found = first_not_tolerated([Taint("k", "v", "NoSchedule")], [toleration])
    assert (found is None) is tolerated
    assert first_not_tolerated([Taint("k", "v", "PreferNoSchedule")], []) is None
