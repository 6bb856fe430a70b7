"""What is wrong while training goes on: said as long as it is so, with the node and the mend."""

import pytest

from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.report import Checkpoint, TrainerState
from tests.support.world import World, trained

FULL = "checkpoint of step 40 could not be written: [Errno 28] No space left on device: '/x'"


def train(world: World, step: int, on: str = "b", **said: object) -> None:
    """a and b train; `said` is what those on the nodes `on` say beside."""
    world.train("a", "b", step=step)
    for node in on:
        part = world.reports[worker_name(node)].training
        assert part is not None
        world.say(node, **{**part.model_dump(), **said})
    world.settle()


def degraded(world: World) -> tuple[str, str, str]:
    condition = world.condition("Degraded")
    return condition.status, condition.reason, condition.message


@pytest.mark.parametrize("reason", ["CheckpointNotSaved", "BadCheckpoint", "ModelNotSaved"])
def test_what_training_survives_is_said_as_long_as_it_is_so(reason: str) -> None:
    world = trained("a", "b")
    train(world, 40, warning_reason=reason, warning=FULL)
    status, why, message = degraded(world)
    assert (status, why) == ("True", reason)
    assert message.startswith(f"b: {FULL}")
    assert world.condition("Training").status == "True"
    assert world.lines()["b"] == "Training"
    assert {line.node: bool(line.message) for line in world.status.nodes} == {"a": False, "b": True}
    train(world, 60)
    assert degraded(world)[:2] == ("False", "AllTraining")


def test_a_program_that_ended_is_said_before_what_it_survived() -> None:
    world = trained("a", "b")
    train(
        world,
        40,
        state=TrainerState.FAILED,
        error_reason="ProgramFailed",
        error="division by zero",
        warning_reason="CheckpointNotSaved",
        warning=FULL,
    )
    assert degraded(world)[1] == "ProgramFailed"


@pytest.mark.parametrize("policy", ["continue", "fail"])
def test_a_loss_that_is_not_finite(policy: str) -> None:
    world = trained("a", "b", runPolicy={"onNonFiniteLoss": policy})
    kept = Checkpoint(lineage=1, step=30, digest="d", path="/x")
    for step, since in ((40, None), (42, 41)):
        train(world, step, on="ab", checkpoints=(kept,), loss_not_finite_since=since)
        assert degraded(world)[1] == "AllTraining", "a step or two may be passed over"
        assert world.condition("Failed").status == "False"
    train(world, 43, on="ab", loss_not_finite_since=41)
    text = "the loss has not been finite since step 41; the last durable checkpoint is of step 30"
    if policy == "fail":
        failed = world.condition("Failed")
        assert (failed.status, failed.reason) == ("True", "LossNotFinite")
        assert failed.message == f"{text}; runPolicy.onNonFiniteLoss is fail"
        assert world.phase == "stop"
        return
    status, why, message = degraded(world)
    assert (status, why) == ("True", "LossNotFinite")
    assert message.startswith(f"{text}: ")
    assert world.phase == "train"
    train(world, 50)
    assert degraded(world)[:2] == ("False", "AllTraining")


def test_a_model_that_nobody_can_save_does_not_begin_the_training_again() -> None:
    world = trained("a", "b")
    said = {"error_reason": "ModelNotSaved", "error": "the model could not be written to /x: full"}
    train(world, 40, state=TrainerState.FAILED, **said)
    failed = world.condition("Failed")
    assert (failed.status, failed.reason) == ("True", "ModelNotSaved")
    assert (
        "neither a model nor a checkpoint could be saved: b: the model could not be written" in failed.message
    )


def test_with_a_durable_checkpoint_it_goes_on_from_there() -> None:
    world = trained("a", "b")
    kept = Checkpoint(lineage=1, step=40, digest="d", path="/x")
    world.train("a", "b", step=40)
    for node in "ab":
        world.say(node, TrainerState.TRAINING, step=40, checkpoints=(kept,))
    world.settle()
    assert world.status.progress.durable_step == 40
    world.say("b", TrainerState.FAILED, error_reason="ModelNotSaved", error="full")
    world.settle()
    assert world.condition("Failed").status == "False"
    assert degraded(world)[1] == "ModelNotSaved"


def test_where_one_has_saved_the_model_the_job_is_complete() -> None:
    world = trained("a", "b")
    world.say("a", TrainerState.FINISHED, step=40, model="/m")
    world.say("b", TrainerState.FAILED, error_reason="ModelNotSaved", error="full")
    world.settle()
    assert world.condition("Complete").status == "True"


def test_a_program_that_is_not_the_one_that_the_job_began_with() -> None:
    world = trained("a", "b")
    train(world, 10, on="ab", program="1111")
    assert world.stored.program == "1111"
    assert degraded(world)[1] == "AllTraining"
    # Its pod is deleted after the edit: the others do not ask it in.
    apart = "the files of its program (2222) differ from those of w1 (1111)"
    train(world, 20, state=TrainerState.JOINING, program="2222", error_reason="ProgramDiffers", error=apart)
    status, why, message = degraded(world)
    assert (status, why) == ("True", "ProgramDiffers")
    assert message.startswith(
        "b: the files of its program (2222) are not those that the job began with (1111); undo the edit"
    )
    # All are restarted with the new one: they agree, and the job still is another than it was.
    train(world, 30, on="ab", program="2222")
    assert degraded(world)[1] == "ProgramDiffers"
    assert world.condition("Training").status == "True"
    assert world.stored.program == "1111"
    train(world, 40, on="ab", program="1111")
    assert degraded(world)[:2] == ("False", "AllTraining")


def test_a_program_is_pinned_by_who_has_committed_a_step() -> None:
    world = World.of("a", "b")
    world.settle()
    for node, program in (("a", "2222"), ("b", "1111")):
        world.say(node, program=program)
    world.settle()
    assert world.stored.program == ""
    world.train("a", "b", step=0)
    train(world, 0, on="ab", program="1111", base=0)
    assert world.stored.program == ""
    train(world, 1, on="ab", program="1111")
    assert world.stored.program == "1111"


def test_a_program_that_failed_is_said_before_that_it_is_another() -> None:
    world = trained("a", "b")
    train(world, 10, on="ab", program="1111")
    train(
        world,
        20,
        state=TrainerState.FAILED,
        program="2222",
        error_reason="ProgramFailed",
        error="no such name",
    )
    assert degraded(world)[1] == "ProgramFailed"
    assert "no such name" in degraded(world)[2]


def test_workers_of_a_version_that_does_not_say_are_no_others() -> None:
    world = trained("a", "b")
    train(world, 10, on="a", program="1111")
    train(world, 20)
    assert degraded(world)[1] == "AllTraining"
