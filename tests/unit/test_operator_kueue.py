"""Jobs that queue by Kueue: what their Workload asks for, when they may run, how their quota goes back."""

from typing import Any

import pytest

from edgetrain_operator.core.actions import PatchWorkload
from edgetrain_operator.core.kueue.workload import Flavor
from edgetrain_operator.core.kueue.workload_actions import AGAIN_SECONDS
from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_operator.core.model import WORKLOAD, Refusal, Taint
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import Checkpoint, TrainerState
from tests.support.workloads import CLAIM, WITH_KUEUE, admit, evict, kueue_says, pod_set, queued, said
from tests.support.world import World, edge_node, going

LONG_AFTER = 2_000_000.0


def training(*nodes: str, **spec: Any) -> World:
    """Admitted for as many workers as it asked for, and all of them train."""
    world = queued(*nodes, **spec)
    admit(world, pod_set(world)["count"])
    return going(world, *nodes)


def end_pods(world: World, *nodes: str) -> None:
    for node in nodes:
        world.say(node, checkpoints=(Checkpoint(lineage=1, step=77, digest="d"),))
        world.change_pod(node, phase="Succeeded")
    world.settle()


def test_a_job_asks_for_a_worker_on_each_of_its_nodes_and_waits() -> None:
    world = queued("a", "b", "c", nodes={"min": 2})
    assert not world.pods
    assert (pod_set(world)["count"], pod_set(world)["minCount"]) == (3, 2)
    assert world.workload and world.workload["spec"]["queueName"] == "team-a"
    (owner,) = world.workload["metadata"]["ownerReferences"]
    assert owner["kind"] == "EdgeTrainingJob" and owner["controller"]
    suspended = world.condition("Suspended")
    assert (suspended.status, suspended.reason) == ("True", "Queued")
    assert world.status.start_time is None, "its deadline does not run while it queues"


def test_what_is_asked_for_follows_the_nodes_until_quota_is_there() -> None:
    world = queued("a", nodes={"min": 2, "max": 3})
    assert pod_set(world)["count"] == 2, "more may come: it never runs with fewer"
    for name in "bcd":
        world.nodes[name] = edge_node(name, ready=name != "c")
    world.settle()
    assert pod_set(world)["count"] == 3, "one that is away may be back in its turn"
    admit(world, 3)
    world.settle()
    world.nodes.pop("d")
    world.settle()
    assert pod_set(world)["count"] == 3, "Kueue lets nobody change it now"


def test_a_worker_is_asked_for_with_its_sidecar_and_where_it_may_run() -> None:
    small = {"requests": {"cpu": "500m", "memory": "1Gi"}}
    large = {"requests": {"cpu": "2", "memory": "900Mi"}, "limits": {"nvidia.com/gpu": 1}}
    world = queued(
        "a",
        nodes={"selector": {"matchLabels": {"zone": "x"}}},
        template={
            "spec": {
                "priorityClassName": "low",
                "containers": [{"name": "trainer", "resources": small}],
                "tolerations": [{"key": "edge", "operator": "Exists"}],
            }
        },
        overrides=[{"selector": {"matchLabels": {"board": "gpu"}}, "resources": large}],
    )
    world.nodes = {
        name: edge_node(name, labels={**edge_node(name).labels, "zone": "x", "board": board})
        for name, board in (("a", "cpu"), ("b", "gpu"))
    }
    world.settle()
    pod = pod_set(world)["template"]["spec"]
    (trainer,) = pod["containers"]
    assert trainer["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}, "the most of each"
    assert trainer["resources"]["limits"] == {"nvidia.com/gpu": 1}
    (profiler,) = pod["initContainers"]
    assert profiler["restartPolicy"] == "Always" and profiler["resources"]["requests"]["cpu"] == "10m"
    assert pod["priorityClassName"] == "low"
    assert {"key": "edge", "operator": "Exists"} in pod["tolerations"]
    ((term,),) = [affinity["nodeSelectorTerms"] for affinity in pod["affinity"]["nodeAffinity"].values()]
    assert {"key": "zone", "operator": "In", "values": ["x"]} in term["matchExpressions"]


def test_an_admitted_job_runs_on_as_many_nodes_as_it_has_quota_for() -> None:
    world = queued("a", "b", "c")
    admit(world, 2)
    world.settle()
    assert len(world.pods) == 2
    assert world.condition("Suspended").status == "False"
    assert world.status.start_time is not None
    assert said(world, "PodsReady")["status"] == "False"
    scheduled = world.condition("Scheduled").message
    assert "queue team-a has given quota for 2 workers" in scheduled, scheduled


def test_pods_are_ready_once_and_a_dark_node_takes_nothing_of_it_back() -> None:
    world = training("a", "b")
    assert (said(world, "PodsReady")["status"], said(world, "PodsReady")["reason"]) == ("True", "Started")
    for node in "ab":
        world.change_pod(node, ready=False)
        world.nodes[node] = edge_node(node, ready=False)
    world.settle()
    assert said(world, "PodsReady")["status"] == "True"


def test_a_preempted_job_saves_before_its_quota_is_given_back_and_is_resumed() -> None:
    world = training("a", "b")
    evict(world)
    world.settle()
    assert world.phase == Phase.STOP
    assert all(pod.living for pod in world.pods.values()), "they shall save"
    assert said(world, "QuotaReserved")["status"] == "True", "what saves needs what it has"
    suspended = world.condition("Suspended")
    assert (suspended.reason, world.status.phase) == ("Preempted", "Suspended")
    assert "Preempted to accommodate a workload" in suspended.message
    world.pass_time(5)
    end_pods(world, "a", "b")
    world.finish_deletions()
    world.settle()
    assert world.group.durable_step == 77
    assert world.workload and "admission" not in world.workload["status"]
    assert [said(world, kind)["status"] for kind in ("QuotaReserved", "Admitted", "PodsReady")] == [
        "False"
    ] * 3
    assert (said(world, "Requeued")["status"], said(world, "Requeued")["reason"]) == ("True", "Preempted")
    assert world.workload["status"]["accumulatedPastExecutionTimeSeconds"] == 5
    assert world.condition("Suspended").reason == "Queued"
    admit(world, 2)
    world.settle()
    for node in "ab":
        assert world.pod(node).attempt == 2
        world.say(node)
    world.settle()
    assert (world.plan.phase, world.plan.generation) == (Phase.TRAIN, 2)


def test_quota_is_given_back_while_a_pod_of_a_dark_node_cannot_end() -> None:
    world = training("a", "b")
    evict(world)
    world.settle()
    world.nodes["b"] = edge_node("b", ready=False)
    end_pods(world, "a")
    world.pass_time(10 * WIND_DOWN_SECONDS)
    world.settle()
    assert world.pod("b").deleting
    world.pods = {uid: pod for uid, pod in world.pods.items() if pod.node == "b"}
    world.settle()
    assert said(world, "QuotaReserved")["status"] == "False"


def test_an_eviction_that_is_no_preemption_leaves_it_to_kueue_when_to_queue_again() -> None:
    world = training("a")
    evict(world, "PodsReadyTimeout")
    world.settle()
    assert world.condition("Suspended").reason == "Evicted"
    end_pods(world, "a")
    world.finish_deletions()
    world.settle()
    assert (said(world, "Requeued")["status"], said(world, "Requeued")["reason"]) == (
        "False",
        "PodsReadyTimeout",
    )


def test_a_job_that_a_person_suspends_leaves_the_queue_when_its_pods_are_gone() -> None:
    world = training("a")
    world.spec = world.spec | {"suspend": True}
    world.settle()
    assert world.condition("Suspended").reason == "SuspendRequested"
    assert world.workload, "its pods still have their quota"
    end_pods(world, "a")
    world.finish_deletions()
    world.settle()
    assert world.workload is None
    world.spec = world.spec | {"suspend": False}
    world.settle()
    assert world.workload and world.condition("Suspended").reason == "Queued"
    assert not world.pods


@pytest.mark.parametrize("end", [TrainerState.FINISHED, TrainerState.FAILED])
def test_a_job_that_is_over_has_finished_and_queues_no_more(end: TrainerState) -> None:
    world = training("a", runPolicy={"backoffLimit": 0})
    if end is TrainerState.FINISHED:
        world.say("a", end, model="/m", step=20)
    else:
        world.crash("a", 1, "ProgramFailed: it broke")
    world.settle()
    good = end is TrainerState.FINISHED
    assert said(world, "Finished")["reason"] == ("Succeeded" if good else "Failed")
    world.workload = None
    world.settle()
    assert world.workload is None, "Kueue deletes what has finished, after a time"


def test_a_queue_that_is_not_there_is_said() -> None:
    world = queued("a")
    kueue_says(world, ("QuotaReserved", False, "Inadmissible", "LocalQueue team-a doesn't exist"))
    world.settle()
    suspended = world.condition("Suspended")
    assert suspended.reason == "Inadmissible"
    assert "LocalQueue team-a doesn't exist" in suspended.message


def test_a_job_waits_for_admission_checks_and_says_which() -> None:
    world = queued("a")
    mine = {"name": "workers", "count": 1}
    check = {"name": "budget", "state": "Pending", "message": "to be approved"}
    kueue_says(
        world,
        ("QuotaReserved", True, "QuotaReserved", ""),
        admission={"podSetAssignments": [mine]},
        admissionChecks=[check],
    )
    world.settle()
    assert not world.pods
    assert world.condition("Suspended").reason == "AdmissionChecks"
    assert "budget: to be approved" in world.condition("Suspended").message


def test_workers_go_where_the_flavor_is_and_bear_its_taints() -> None:
    world = queued("a", "b")
    spot = Taint("spot", "true", "NoSchedule")
    world.nodes["b"] = edge_node("b", labels={**edge_node("b").labels, "kind": "spot"}, taints=(spot,))
    world.settle()
    toleration = {"key": "spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    world.flavors = (Flavor({"kind": "spot"}, (toleration,)),)
    admit(world, 2)
    world.settle()
    assert [pod.node for pod in world.pods.values()] == ["b"]


def test_a_job_that_has_outgrown_its_quota_queues_anew() -> None:
    world = queued("a", "b", "c")
    admit(world, 2)
    world.settle()
    before = world.workload
    world.spec = world.spec | {"nodes": {"min": 3}}
    world.settle()
    assert world.condition("Suspended").reason == "QueuedAnew"
    assert "spec.nodes.min is 3" in world.condition("Suspended").message
    world.finish_deletions()
    world.settle()
    assert world.workload and before and world.workload["metadata"]["uid"] != before["metadata"]["uid"]
    assert (pod_set(world)["count"], world.condition("Suspended").reason) == (3, "Queued")


def test_a_job_moved_to_another_queue_ends_its_pods_first() -> None:
    world = training("a")
    world.queue = "team-b"
    world.settle()
    assert world.workload and world.workload["spec"]["queueName"] == "team-a"
    end_pods(world, "a")
    world.finish_deletions()
    world.settle()
    assert world.workload["spec"]["queueName"] == "team-b"


def test_a_job_that_waits_moves_at_once() -> None:
    world = queued("a")
    before = world.workload
    world.queue = "team-b"
    world.settle()
    assert world.workload and before
    assert world.workload["metadata"]["uid"] == before["metadata"]["uid"]
    assert world.workload["spec"]["queueName"] == "team-b"


def test_a_job_without_its_label_runs_without_quota() -> None:
    world = queued("a")
    world.queue = ""
    world.settle()
    assert world.workload is None and len(world.pods) == 1


def test_a_running_job_that_gets_the_label_stops_and_queues() -> None:
    world = World.of("a", **CLAIM)
    world.defaults = WITH_KUEUE
    world.settle()
    assert len(world.pods) == 1
    world.queue = "team-a"
    world.settle()
    assert world.workload and world.condition("Suspended").reason == "Queued"
    assert all(pod.deleting for pod in world.pods.values())


def test_fewer_workers_give_their_quota_back_when_they_are_gone() -> None:
    world = training("a", "b", "c")
    world.spec = world.spec | {"nodes": {"max": 1}}
    world.settle()
    assert world.workload and "reclaimablePods" not in world.workload["status"]
    world.finish_deletions()
    world.settle()
    assert world.workload["status"]["reclaimablePods"] == [{"name": "workers", "count": 2}]
    world.spec = world.spec | {"nodes": {"max": 3}}
    world.settle()
    assert len(world.pods) == 1, "to have more it would have to queue"


def test_a_job_that_wants_no_workers_queues_for_none() -> None:
    world = queued("a", nodes={"max": 0})
    assert world.workload is None
    assert "spec.nodes.max is 0" in world.condition("Scheduled").message


def test_a_deactivated_workload_says_how_to_go_on() -> None:
    world = queued("a")
    assert world.workload
    world.workload = world.workload | {"spec": {**world.workload["spec"], "active": False}}
    world.settle()
    assert world.condition("Suspended").reason == "Deactivated"


def test_without_kueue_in_the_chart_the_label_holds_the_job_and_says_why() -> None:
    world = World.of("a")
    world.queue = "team-a"
    world.settle()
    assert not world.pods and world.workload is None
    assert world.condition("Suspended").reason == "KueueNotEnabled"


def test_what_is_missing_is_said_and_looked_for_again() -> None:
    world = World.of("a")
    world.defaults, world.queue, world.missing = WITH_KUEUE, "team-a", "PriorityClass low is not there"
    decision = world.settle()
    assert world.workload is None
    assert world.condition("Suspended").reason == "PriorityClassMissing"
    assert decision.requeue_at is not None and decision.requeue_at <= world.now + AGAIN_SECONDS


def test_a_job_that_waits_says_that_its_new_priority_is_missing_and_keeps_its_place() -> None:
    world = queued("a")
    before = world.workload
    world.missing = "PriorityClass low is not there"
    world.settle()
    assert world.condition("Suspended").reason == "PriorityClassMissing"
    assert world.workload == before


def test_a_workload_that_is_refused_says_so_and_stops_nobody_who_runs() -> None:
    refusal = Refusal("WorkloadRefused", "its Workload is refused: no", LONG_AFTER)
    world = World.of("a")
    world.defaults, world.queue, world.refusals = WITH_KUEUE, "team-a", {WORKLOAD: refusal}
    world.settle()
    assert world.condition("Suspended").reason == "WorkloadRefused"
    running = training("a")
    running.refusals = {WORKLOAD: refusal}
    running.settle()
    assert running.condition("Suspended").status == "False"


def test_each_write_is_for_what_was_seen() -> None:
    world = queued("a")
    world.nodes["b"] = edge_node("b")
    patches = [a for a in world.step().actions if isinstance(a, PatchWorkload)]
    assert [p.version for p in patches] == ["1"]
    assert not [a for a in world.settle().actions if isinstance(a, PatchWorkload)], (
        "deciding again changes nothing"
    )
