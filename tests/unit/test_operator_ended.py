"""How a job reads that is over or suspended, whatever becomes of its pods, and which of them stay."""

import pytest

from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_operator.core.node_status import NODES_MAX
from edgetrain_operator.core.unheard import NEVER_HEARD_SECONDS
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.status import JobStatus
from tests.support.world import edge_node, trained


def test_a_complete_job_reads_as_it_ended_whatever_becomes_of_its_pods() -> None:
    world = trained("a", "b", "c")
    for node in "ab":
        world.say(node, TrainerState.FINISHED, model="/m", step=400, samples_per_second=64.0)
    world.settle()
    for node in "ab":
        world.change_pod(node, phase="Succeeded")
    world.settle()
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    world.finish_deletions()
    world.change_pod("b", phase="Failed")  # as an eviction does to what has ended long since
    world.reports.clear()
    world.settle()
    ended = {"a": "Finished", "b": "Finished", "c": "Stopped"}
    assert world.lines() == ended and world.line("c").message == "ended with the job: Finished"
    world.pods.clear()
    world.since = world.now
    for _ in range(2):
        world.pass_time(1000)
        world.settle()
        assert world.lines() == ended
    assert (world.status.phase, world.status.workers.training) == ("Complete", 0)
    assert (world.status.progress.samples_per_second, world.status.progress.eta_seconds) == (0.0, None)
    assert JobStatus.model_validate(world.status.to_wire()) == world.status


def test_all_finished_nodes_read_so_though_status_has_no_line_for_each() -> None:
    names = [f"n{number:03d}" for number in range(NODES_MAX + 10)]
    world = trained(*names, nodes={"max": 200})
    world.say(names[0], TrainerState.FINISHED, model="/m", step=400)
    world.settle()
    for name in names:
        world.change_pod(name, phase="Succeeded")
    world.settle()
    world.pods.clear()
    world.reports.clear()
    world.settle()
    assert [line.state for line in world.status.nodes] == ["Finished"] * NODES_MAX


def test_who_was_never_heard_when_the_job_ended_reads_so() -> None:
    world = trained("a", "b")
    world.nodes["c"] = edge_node("c")
    world.settle()
    world.change_pod("c", phase="Running")
    world.settle()
    world.pass_time(NEVER_HEARD_SECONDS)
    world.train("a", "b")
    world.settle()
    for node in "ab":
        world.say(node, TrainerState.FINISHED, model="/m", step=400, samples_per_second=64.0)
    world.settle()
    assert world.lines() == {"a": "Finished", "b": "Finished", "c": "Lost"}
    assert world.status.progress.samples_per_second == 0.0
    world.pods.clear()
    world.reports.clear()
    world.settle()
    assert world.lines() == {"a": "Finished", "b": "Finished", "c": "Lost"}
    assert "never been heard" in world.line("c").message


def test_who_was_silent_or_had_failed_when_the_job_ended_reads_so() -> None:
    world = trained("a", "b", "c")
    world.crash("c", 1, "ProgramFailed: no camera")
    world.pass_time(8)
    world.train("a", number=2)
    world.settle()
    world.say("a", TrainerState.FINISHED, model="/m", step=400)
    world.settle()
    world.change_pod("a", phase="Succeeded")
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    world.pods.clear()
    world.settle()
    assert world.lines() == {"a": "Finished", "b": "Lost", "c": "Failed"}
    assert "not heard since" in world.line("b").message and "no camera" in world.line("c").message


def test_workers_of_a_suspended_job_do_not_train() -> None:
    world = trained("a", "b")
    world.say("a", TrainerState.TRAINING, step=20, samples_per_second=64.0)
    world.settle()
    assert world.status.progress.samples_per_second == 64.0
    world.reports.clear()
    world.since = world.now
    world.spec = {"suspend": True}
    world.settle()
    assert world.status.progress.samples_per_second == 0.0
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    world.pods.clear()
    world.reports.clear()
    world.settle()
    assert world.lines() == {"a": "Stopped", "b": "Stopped"}
    assert world.status.workers.training == 0
    world.spec = {"suspend": False}
    world.settle()
    assert set(world.lines().values()) == {"Pending"}


@pytest.mark.parametrize(
    ("policy", "left"), [("Running", {"a"}), ("All", set()), ("None", {"a", "b"}), (None, {"a"})]
)
def test_pods_that_stay_when_the_job_has_ended(policy: str | None, left: set[str]) -> None:
    world = trained("a", "b", runPolicy={"cleanPodPolicy": policy} if policy else {})
    for node in "ab":
        world.say(node, TrainerState.FINISHED)
    world.settle()
    world.change_pod("a", phase="Succeeded")
    world.settle()
    assert not any(pod.deleting for pod in world.pods.values()), "all may end by themselves first"
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    world.finish_deletions()
    assert {pod.node for pod in world.pods.values()} == left
    assert world.lines()["a"] == "Finished"
