"""When status is written, and what becomes of conditions."""

from edgetrain_operator.core.condition_updates import update
from edgetrain_operator.core.decide import status_unwritten
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.status import PROGRESS_SECONDS, status_due
from edgetrain_protocol.report import Checkpoint, TrainerState
from edgetrain_protocol.status import ConditionType, JobProgress, JobStatus, NodeState, NodeStatus
from tests.support.world import trained


def test_progress_alone_waits_and_a_state_does_not() -> None:
    before = trained("a", "b").status
    further = before.model_copy(update={"progress": JobProgress(step=99)})
    assert not status_due(before, before, 1e9)
    assert not status_due(before, further, PROGRESS_SECONDS - 1)
    assert status_due(before, further, PROGRESS_SECONDS)
    faster = [line.model_copy(update={"steps_per_second": 9.0}) for line in before.nodes]
    assert not status_due(before, before.model_copy(update={"nodes": faster}), 1.0)
    paused = [line.model_copy(update={"state": NodeState.PAUSED}) for line in before.nodes]
    assert status_due(before, before.model_copy(update={"nodes": paused}), 1.0)


def test_transition_time_moves_with_status_alone() -> None:
    times = [time_text(seconds) for seconds in (1, 2, 3)]
    first = update([], [(ConditionType.TRAINING, False, "Starting", "")], times[0], 1)
    second = update(first, [(ConditionType.TRAINING, False, "NoMajority", "x")], times[1], 2)
    third = update(second, [(ConditionType.TRAINING, True, "Training", "")], times[2], 2)
    assert [c[0].last_transition_time for c in (first, second, third)] == [times[0], times[0], times[2]]
    assert (second[0].reason, second[0].observed_generation) == ("NoMajority", 2)


def test_nodes_are_worst_first_and_at_most_a_hundred() -> None:
    names = [f"n{number:03d}" for number in range(120)]
    world = trained(*names, nodes={"max": 200})
    world.pass_time(1)
    world.train(*names[:-1], number=2, lost=(names[-1],))
    world.settle()
    world.pass_time(2)
    world.train(*names[:-1], number=2, lost=(names[-1],))
    world.settle()
    world.pass_time(6)
    world.train(*names[:-1], number=2, lost=(names[-1],))
    world.settle()
    lines: list[NodeStatus] = world.status.nodes
    assert len(lines) == 100
    assert (lines[0].node, lines[0].state) == (names[-1], NodeState.LOST)
    assert world.status.workers.training == 119


def test_eta_and_rates_come_from_the_reports() -> None:
    world = trained("a", "b")
    for node in "ab":
        world.say(
            node,
            TrainerState.TRAINING,
            step=100,
            percent=25.0,
            steps_per_second=2.0,
            samples_per_second=64.0,
            loss=0.5,
        )
    world.settle()
    progress = world.status.progress
    assert (progress.eta_seconds, progress.samples_per_second, progress.loss) == (150, 64.0, 0.5)
    assert JobStatus.model_validate(world.status.to_wire()).progress == progress


def test_what_programs_log_is_told_as_their_main_member_says() -> None:
    world = trained("a", "b")
    told = world.reports[worker_name("a")].training
    assert told and told.formation
    assert told.formation.members[0] == worker_name("a")
    for node, accuracy in (("a", 0.5), ("b", 0.75)):
        world.say(
            node, TrainerState.TRAINING, step=100, formation=told.formation, metrics={"accuracy": accuracy}
        )
    world.settle()
    assert world.status.progress.metrics == {"accuracy": 0.5}
    assert JobStatus.model_validate(world.status.to_wire()).progress.metrics == {"accuracy": 0.5}


def test_how_far_a_job_is_is_not_said_where_nobody_knows() -> None:
    world = trained("a", "b")
    for node in "ab":
        world.say(node, TrainerState.TRAINING, step=100, percent=0.0, steps_per_second=2.0)
    world.settle()
    progress = world.status.progress
    assert (progress.summary, progress.eta_seconds) == ("step 100", None)


def test_how_many_samples_stay_on_a_node_is_told() -> None:
    world = trained("a", "b")
    world.say("a", TrainerState.TRAINING, local_samples=120, local_labels={"0": 100, "1": 20})
    world.settle()
    assert {line.node: line.local_samples for line in world.status.nodes} == {"a": 120, "b": None}


def test_programs_that_start_anew_do_not_take_the_step_back() -> None:
    world = trained("a", "b", storage={"checkpoint": {"claim": {"size": "1Gi"}}})
    kept = Checkpoint(lineage=1, step=8, digest="d")
    for node in "ab":
        world.say(node, TrainerState.TRAINING, step=10, percent=20.0, checkpoints=(kept,))
    world.settle()
    world.remove_pod("a", "b")
    world.settle()
    world.say("a", TrainerState.STARTING)
    world.settle()
    assert (world.plan.generation, world.status.progress.step) == (1, 10)
    for node in "ab":
        world.say(node, checkpoints=(kept,))
    world.settle()
    progress = world.status.progress
    assert (world.plan.generation, progress.step, progress.percent) == (2, 8, 16.0)
    world.train("a", "b", step=9)
    world.settle()
    assert world.status.progress.step == 9


def test_a_job_that_is_resumed_does_not_train_before_its_plan_could_be_written() -> None:
    world = trained("a", "b")
    world.spec = {"suspend": True}
    world.settle()
    world.remove_pod("a", "b")
    world.settle()
    world.spec = {"suspend": False}
    said = {c.type: c for c in status_unwritten(world.observed()).conditions}
    assert said[ConditionType.TRAINING].status == "False"
