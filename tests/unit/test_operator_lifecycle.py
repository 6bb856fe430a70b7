"""A job's end: complete, failed, suspended, and what is said about it."""

from dataclasses import replace

import pytest

from edgetrain_operator.core.actions import DeleteJob, DeletePod, Forget
from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_operator.core.model import ContainerTrouble
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.report_view import HEARD_SECONDS
from edgetrain_protocol.names import EDGE_NODE_LABEL
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import Checkpoint, TrainerState
from edgetrain_protocol.status import JobStatus
from tests.support.world import World, edge_node, trained


@pytest.mark.attack(5)
def test_what_one_says_alone_of_the_end_ends_nothing() -> None:
    world = trained("a", "b", "c")
    world.say("c", TrainerState.FINISHED, model="/models/c", step=400)
    world.settle()
    assert (world.status.phase, world.phase) == ("Training", Phase.TRAIN)
    world.say("b", TrainerState.FINISHED, model="/models/b", step=400)
    world.settle()
    assert world.status.phase == "Complete"


def test_who_is_not_heard_any_more_does_not_hold_up_the_end() -> None:
    world = trained("a", "b")
    world.say("a", TrainerState.FINISHED, step=400)
    world.settle()
    assert world.status.phase == "Training"
    world.pass_time(HEARD_SECONDS + 1)
    world.settle()
    assert world.status.phase == "Complete"


PUSHED = {"model": {"uri": "s3://bucket/models/", "claim": {}}}


def a_model_is_pushed(**said: object) -> World:
    """a has finished, and c, which says this; b is still at it."""
    world = trained("a", "b", "c", storage=PUSHED)
    world.say("a", TrainerState.FINISHED, model="/models/model.safetensors", step=400)
    world.say("c", TrainerState.FINISHED, model="/models/model.safetensors", step=400, **said)
    world.settle()
    return world


def test_a_job_is_complete_once_its_model_is_in_the_remote_store() -> None:
    world = a_model_is_pushed()
    assert world.status.phase == "Training"
    world.say("b", TrainerState.FINISHED, model="/models/model.safetensors", step=400, model_pushed=True)
    world.settle()
    assert world.status.phase == "Complete"
    assert world.status.model == "s3://bucket/models/model.safetensors"
    assert "the model is at s3://bucket/models/model.safetensors" in world.condition("Complete").message
    assert a_model_is_pushed(model_pushed=True).status.phase == "Complete"


def test_a_model_that_could_not_be_pushed_is_said_to_be_where_it_is() -> None:
    world = a_model_is_pushed(model_not_pushed="s3://bucket/models/model.safetensors: access denied")
    assert world.status.model == "c:/models/model.safetensors"
    message = world.condition("Complete").message
    assert "the model is on c at /models/model.safetensors; ModelNotPushed: it was not pushed to" in message
    assert message.endswith("access denied")


def test_nobody_holds_up_the_end_by_a_push_for_longer_than_those_stay_who_have_finished() -> None:
    world = a_model_is_pushed()
    world.pass_time(HEARD_SECONDS + 1)
    world.settle()
    assert "the worker that was to push it is gone" in world.condition("Complete").message
    world = a_model_is_pushed()
    world.change_pod("a", phase="Succeeded")
    world.settle()
    assert world.status.phase == "Complete"


def test_complete_when_members_have_finished_and_end_by_themselves() -> None:
    world = trained("a", "b")
    world.say("a", TrainerState.FINISHED, model="/models/model.safetensors", step=400)
    world.say("b", TrainerState.FINISHED, step=400)
    decision = world.settle()
    assert world.status.phase == "Complete"
    assert world.condition("Complete").status == "True"
    assert world.status.model == "a:/models/model.safetensors"
    assert world.phase == Phase.STOP
    assert not any(isinstance(action, DeletePod) for action in decision.actions), "their logs shall stay"
    for node in "ab":
        world.change_pod(node, phase="Succeeded")
    assert any(isinstance(action, Forget) for action in world.settle().actions)
    assert all(pod.living or pod.phase == "Succeeded" for pod in world.pods.values())


def test_workers_that_do_not_end_are_ended() -> None:
    world = trained("a", "b")
    for node in "ab":
        world.say(node, TrainerState.FINISHED)
    world.settle()
    world.change_pod("a", phase="Succeeded")
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    assert world.pod("b").deleting and not world.pod("a").deleting


def test_complete_where_all_pods_ended_well_while_nobody_looked() -> None:
    world = trained("a", "b")
    world.reports.clear()
    world.since = world.now
    for node in "ab":
        world.change_pod(node, phase="Succeeded")
    world.settle()
    assert world.condition("Complete").reason == "ProgramEnded"


def test_what_is_over_stays_over() -> None:
    world = trained("a")
    world.say("a", TrainerState.FINISHED)
    world.settle()
    done = world.status.completion_time
    world.pass_time(10_000)
    world.nodes["b"] = edge_node("b")
    world.settle()
    assert world.status.completion_time == done
    assert {pod.node for pod in world.pods.values()} == {"a"}


def test_deleted_after_its_time() -> None:
    world = trained("a", runPolicy={"ttlSecondsAfterFinished": 60})
    world.say("a", TrainerState.FINISHED)
    world.settle()
    world.change_pod("a", phase="Succeeded")
    assert not any(isinstance(action, DeleteJob) for action in world.settle().actions)
    world.pass_time(61)
    assert any(isinstance(action, DeleteJob) for action in world.settle().actions)


def test_suspend_stops_all_workers_and_resume_goes_on_in_a_new_generation() -> None:
    world = trained("a", "b")
    world.spec = {"suspend": True}
    world.settle()
    assert world.phase == Phase.STOP
    assert all(pod.living for pod in world.pods.values()), "they shall save, and say what they saved"
    assert world.status.phase == "Suspended"
    for node in "ab":
        world.say(node, checkpoints=(Checkpoint(lineage=1, step=77, digest="d"),))
        world.change_pod(node, phase="Succeeded")
    world.settle()
    assert world.group.durable_step == 77
    assert all(pod.deleting for pod in world.pods.values())
    world.finish_deletions()
    world.settle()
    assert not world.pods
    world.spec = {"suspend": False}
    world.settle()
    assert world.phase == Phase.WAIT, "a worker that reads STOP would end again"
    for node in "ab":
        assert world.pod(node).attempt == 2
        world.say(node)
    world.settle()
    assert (world.plan.phase, world.plan.generation, world.members) == (Phase.TRAIN, 2, ["a", "b"])
    assert world.condition("Suspended").status == "False"


def test_suspended_workers_that_do_not_end_are_ended() -> None:
    world = trained("a", "b")
    world.nodes["c"] = edge_node("c")
    world.settle()
    world.spec = {"suspend": True}
    world.settle()
    assert world.pod("c").deleting, "not in the plan: it has nothing to save"
    world.change_pod("a", phase="Succeeded")
    world.settle()
    assert world.pod("a").deleting and world.pod("b").living
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    assert world.pod("b").deleting


def test_a_job_resumed_while_its_workers_stop_waits_for_their_end() -> None:
    world = trained("a", "b")
    world.spec = {"suspend": True}
    world.settle()
    world.spec = {"suspend": False}
    world.settle()
    assert (world.phase, world.condition("Suspended").reason) == (Phase.STOP, "Stopping")
    for node in "ab":
        world.change_pod(node, phase="Succeeded")
    world.settle()
    world.finish_deletions()
    world.settle()
    assert world.status.phase == "Starting"
    assert {pod.attempt for pod in world.pods.values()} == {2}


def test_failed_after_its_deadline() -> None:
    world = trained("a", runPolicy={"activeDeadlineSeconds": 100})
    world.pass_time(101)
    world.train("a")
    world.settle()
    assert world.condition("Failed").reason == "DeadlineExceeded"
    assert world.phase == Phase.STOP


def test_failures_seen_in_pods_and_told_by_workers_count_once_each() -> None:
    world = World.of("a", runPolicy={"backoffLimit": 2})
    world.settle()
    for crash in (1, 2):
        world.say(
            "a",
            TrainerState.FAILED,
            incarnation=f"i{crash}",
            error="ValueError: bad",
            error_reason="ProgramFailed",
        )
        world.settle()
        world.change_pod("a", crashes=crash)
        world.settle()
        assert world.status.failures == crash
        assert world.condition("Degraded").reason == "ProgramFailed"
    world.change_pod("a", crashes=3)
    world.settle()
    failed = world.condition("Failed")
    assert (failed.status, failed.reason) == ("True", "ProgramFailed")
    assert "a: ValueError: bad" in failed.message and "backoffLimit is 2" in failed.message


def test_failures_are_kept_over_the_pods_that_had_them() -> None:
    world = World.of("a", runPolicy={"backoffLimit": 2})
    world.settle()
    for _ in range(3):
        world.change_pod("a", crashes=1, phase="Failed")
        world.settle()
        world.finish_deletions()
        world.pass_time(1000)
        world.settle()
    assert world.condition("Failed").status == "True"


TROUBLES = [
    (
        ContainerTrouble("trainer", "ImagePullBackOff", "not found"),
        "ImagePullFailed",
        "registry.example/edgetrain:1",
    ),
    (
        ContainerTrouble("trainer", "ErrImagePull", "no match for platform in manifest: not found"),
        "NoImageForArchitecture",
        "name another image for kubernetes.io/arch in spec.overrides",
    ),
    (
        ContainerTrouble("profiler", "Error", "exec /usr/bin/python: exec format error"),
        "NoImageForArchitecture",
        "is not built for",
    ),
    (
        ContainerTrouble("trainer", "StartError", 'exec: "pyton": not found'),
        "CommandNotFound",
        "python /program/main.py",
    ),
    (
        ContainerTrouble("", "Unschedulable", "0/1 nodes: insufficient cpu"),
        "PodUnschedulable",
        "insufficient cpu",
    ),
    (
        ContainerTrouble("trainer", "CreateContainerConfigError", "secret x"),
        "CreateContainerConfigError",
        "secret x",
    ),
]


@pytest.mark.parametrize(("trouble", "reason", "text"), TROUBLES)
def test_what_the_kubelet_cannot_do_is_said_with_node_and_mend(
    trouble: ContainerTrouble, reason: str, text: str
) -> None:
    world = World.of("a")
    world.settle()
    world.change_pod("a", trouble=trouble)
    world.settle()
    training = world.condition("Training")
    assert (training.status, training.reason) == ("False", reason)
    assert training.message.startswith("a: ") and text in training.message
    assert world.told.count(reason) >= 1


def test_nodes_of_an_architecture_without_an_image_hold_back_no_others() -> None:
    world = trained("a", "b")
    world.nodes["c"] = edge_node("c", labels={EDGE_NODE_LABEL: "", "kubernetes.io/arch": "riscv64"})
    world.settle()
    trouble = ContainerTrouble("trainer", "ErrImagePull", "no match for platform in manifest: not found")
    world.change_pod("c", trouble=trouble)
    world.train("a", "b")
    world.settle()
    assert world.condition("Training").status == "True"
    degraded = world.condition("Degraded")
    assert (degraded.status, degraded.reason) == ("True", "NoImageForArchitecture")
    assert "c: image registry.example/edgetrain:1 is not built for riscv64" in degraded.message
    assert world.lines()["c"] == "Failed"


@pytest.mark.parametrize("reason", ["ModelMismatch", "EmptyDataset", "BadCheckpoint", "CommandNotFound"])
def test_what_a_worker_says_is_wrong_reaches_the_job(reason: str) -> None:
    world = trained("a", "b")
    world.say("b", TrainerState.FAILED, error="layer 3 differs", error_reason=reason)
    world.train("a")
    world.settle()
    degraded = world.condition("Degraded")
    assert (degraded.status, degraded.reason) == ("True", reason)
    assert "b: layer 3 differs; " in degraded.message
    assert world.lines()["b"] == "Failed" and world.lines()["a"] == "Training"


def test_a_worker_that_has_lost_its_votes_gets_another_pod() -> None:
    world = trained("a", "b", "c")
    lost = world.pod("b").uid
    for start in range(20):  # without the cloud it may have tried for long
        world.say(
            "b",
            TrainerState.FAILED,
            incarnation=f"i{start}",
            error="its disk was lost",
            error_reason="VotesLost",
        )
        world.train("a", "c")
        world.settle()
    assert world.condition("Failed").status == "False"
    world.finish_deletions()
    world.settle()
    assert world.pod("b").uid != lost
    world.train("a", "b", "c")
    world.settle()
    assert set(world.lines().values()) == {"Training"}


def test_no_node_matches() -> None:
    world = World.of("a", nodes={"selector": {"matchLabels": {"site": "x"}}})
    world.settle()
    scheduled = world.condition("Scheduled")
    assert scheduled.reason == "NoMatchingNodes" and '"site":"x"' in scheduled.message
    assert world.status.phase == "Pending"
    world = World()
    world.settle()
    assert "node-role.kubernetes.io/edge" in world.condition("Scheduled").message


def test_too_few_nodes_names_those_that_cannot_have_a_worker() -> None:
    world = World.of("a", "b", nodes={"min": 2})
    world.nodes["b"] = replace(world.nodes["b"], unschedulable=True)
    world.settle()
    scheduled = world.condition("Scheduled")
    assert scheduled.reason == "TooFewNodes" and "b: the node is cordoned" in scheduled.message


def test_old_kubelets_are_shown_as_unsupported() -> None:
    world = World.of("a")
    world.nodes["old"] = edge_node("old", kubelet="v1.28.9-k3s1")
    world.settle()
    assert world.lines()["old"] == "Unsupported"
    assert {pod.node for pod in world.pods.values()} == {"a"}


def test_status_counts_and_names_the_election() -> None:
    world = trained("a", "b", "c")
    world.measure(a=20e6, b=100e6, c=50e6)
    world.train("a", "b", "c", step=50)
    world.settle()
    status = world.status
    assert (status.workers.desired, status.workers.ready, status.workers.training) == (3, 3, 3)
    assert status.aggregator == "b" == world.aggregator
    assert status.election is not None
    assert status.election.bandwidth_bits_per_second == 100e6
    assert status.election.runner_up == worker_name("c")
    assert [line.aggregator for line in status.nodes] == [False, True, False]
    assert world.told.count("Elected") == 2
    assert JobStatus.model_validate(status.to_wire()) == status
