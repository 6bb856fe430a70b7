"""The NetworkPolicy that each job gets: who may dial its workers, and that a job goes on without."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgetrain_operator.core.network_policy import NetworkPolicy
from edgetrain_operator.runtime import network_policies
from edgetrain_protocol.names import PROFILER_PORT
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, program
from tests.support.refusing import refuse_nothing, webhook
from tests.support.replicas import DEFAULTS, Replica, condition, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

Json = dict[str, Any]
TUNNEL = {"ipBlock": {"cidr": "198.51.100.0/24"}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


@pytest.fixture(autouse=True)
def _bare(api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(api)
    program(api, namespace, "main.py")
    make_node(api, "edge-a")
    yield
    drop_nodes(api)
    refuse_nothing(api, namespace)


def policies(api: ApiServer, namespace: str) -> list[Json]:
    return items(api, "networkpolicies", namespace)


def selected(api: ApiServer, namespace: str, selector: Json) -> set[str]:
    """Pods of the namespace for which it holds, by the API server's word."""
    labels = ",".join(f"{key}={value}" for key, value in selector["matchLabels"].items())
    return set(api.kubectl("get", "pods", "-n", namespace, "-l", labels, "-o", "name").stdout.split())


def test_only_the_jobs_own_workers_may_dial_them(api: ApiServer, namespace: str) -> None:
    for name in ("digits", "other"):
        api.apply(job(namespace, name))
        settle(api, ScriptedFleet(), namespace, name=name)
    uid = get(api, "etj", "digits", namespace)["metadata"]["uid"]
    (policy,) = [p for p in policies(api, namespace) if p["metadata"]["ownerReferences"][0]["uid"] == uid]
    spec = policy["spec"]
    pods = items(api, "pods", namespace)
    ours = {f"pod/{p['metadata']['name']}" for p in pods if p["metadata"]["name"].startswith("digits")}
    within, scraped = spec["ingress"]
    assert len(pods) == 2 and selected(api, namespace, spec["podSelector"]) == ours
    assert [selected(api, namespace, peer["podSelector"]) for peer in within["from"]] == [ours]
    assert "ports" not in within, "Gloo listens on any"
    assert [port["port"] for port in scraped["ports"]] == [PROFILER_PORT] and "from" not in scraped
    assert spec["policyTypes"] == ["Ingress"], "programs fetch their data from anywhere"


def test_further_peers_come_to_jobs_that_run(api: ApiServer, namespace: str) -> None:
    api.apply(job(namespace))
    settle(api, ScriptedFleet(), namespace)
    wider = NetworkPolicy.model_validate({"from": [TUNNEL], "metrics": {"from": [MONITORING]}})
    settle(api, ScriptedFleet(), namespace, replace(DEFAULTS, network_policy=wider))
    rules = [policy["spec"]["ingress"] for policy in policies(api, namespace)]
    assert len(rules) == 2, "they add up"
    assert any(TUNNEL in within["from"] and scraped.get("from") == [MONITORING] for within, scraped in rules)


def test_workers_from_before_it_stay_as_open_as_they_were(api: ApiServer, namespace: str) -> None:
    fleet, without = ScriptedFleet(), replace(DEFAULTS, network_policy=NetworkPolicy(enabled=False))
    api.apply(job(namespace))
    settle(api, fleet, namespace, without)
    (older,) = items(api, "pods", namespace)
    make_node(api, "edge-b")
    settle(api, fleet, namespace)
    (policy,) = policies(api, namespace)
    within, _ = policy["spec"]["ingress"]
    both = {f"pod/{p['metadata']['name']}" for p in items(api, "pods", namespace)}
    assert len(both) == 2 and selected(api, namespace, within["from"][0]["podSelector"]) == both
    newer = both - {f"pod/{older['metadata']['name']}"}
    assert selected(api, namespace, policy["spec"]["podSelector"]) == newer


@pytest.mark.parametrize("how", ["disabled", "on the nodes' network"])
def test_there_is_none_where_none_is_wanted_or_it_would_do_nothing(
    api: ApiServer, namespace: str, how: str
) -> None:
    off = how == "disabled"
    api.apply(job(namespace, template={"spec": {"hostNetwork": not off}}))
    settle(api, ScriptedFleet(), namespace, replace(DEFAULTS, network_policy=NetworkPolicy(enabled=not off)))
    assert policies(api, namespace) == []


def test_one_that_was_deleted_is_made_again(
    api: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.apply(job(namespace))

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        api.kubectl("delete", "networkpolicy", "--all", "-n", namespace)
        await replica.settle(namespace)
        assert policies(api, namespace) == [], "not at each look"
        monkeypatch.setattr(network_policies, "LOOK_SECONDS", 0.0)
        await replica.settle(namespace)
        assert len(policies(api, namespace)) == 1

    with_replicas(api, ScriptedFleet(), story)


def test_after_a_trouble_of_the_api_servers_it_is_made_at_once(api: ApiServer, namespace: str) -> None:
    api.apply(job(namespace))

    async def story(replica: Replica) -> None:
        replica.kube.busy = "networkpolicies"
        await replica.settle(namespace)
        assert policies(api, namespace) == [] and items(api, "pods", namespace) == []
        replica.kube.busy, replica.ahead = "", 61.0
        await replica.settle(namespace)
        assert len(policies(api, namespace)) == len(items(api, "pods", namespace)) == 1

    with_replicas(api, ScriptedFleet(), story)


def test_a_refusal_is_told_and_stops_no_job(api: ApiServer, namespace: str) -> None:
    webhook(api, namespace, apiGroups=["networking.k8s.io"], resources=["networkpolicies"])
    probe: Json = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}
    probe |= {"metadata": {"name": "probe", "namespace": namespace}}

    def refused() -> bool:
        how = ("create", "--dry-run=server", "-f", "-")
        return bool(api.kubectl(*how, stdin=json.dumps(probe), check=False).returncode)

    wait_for(refused)
    api.apply(job(namespace))

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        assert len(items(api, "pods", namespace)) == 1 and policies(api, namespace) == []
        assert condition(api, namespace, "Scheduled")["status"] == "True"
        degraded = condition(api, namespace, "Degraded")
        assert degraded["reason"] == "NetworkPolicyRefused"
        assert "its NetworkPolicy is refused" in degraded["message"]
        api.kubectl("delete", "validatingwebhookconfiguration", namespace)
        wait_for(lambda: not refused())
        replica.ahead = 61.0
        await replica.settle(namespace)
        assert len(policies(api, namespace)) == 1
        assert condition(api, namespace, "Degraded")["reason"] != "NetworkPolicyRefused"

    with_replicas(api, ScriptedFleet(), story)
