"""What one worker alone says of its group starts nothing; and honest ones are believed all the same."""

from typing import Any

import pytest

from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import Formation, Quorum, TrainerState, Voter
from tests.support.world import World, edge_node, trained

FAR = 10**12
LIAR = "c"


def alone(world: World, liar: str = LIAR, *members: str, number: int = FAR) -> dict[str, Any]:
    """What a liar says of a formation far ahead, of which nobody can vote again."""
    workers = tuple(worker_name(node) for node in members or (liar,))
    gone = tuple(Voter(worker=worker, pod_uid="gone") for worker in workers)
    return {
        "formation": Formation(
            **world.plan.history._asdict(), revision=1, number=number, aggregator=workers[0], members=workers
        ),
        "base": number,
        "counted": (Quorum(number=number, aggregator=workers[0], voters=gone),),
        "holds": True,
        "step": FAR,
    }


def looks(world: World, seconds: int, *lies: dict[str, Any], liar: str = LIAR, others: str = "ab") -> None:
    """Time passes, in which the liar says these and the others train; now and then they form anew."""
    for second in range(seconds):
        world.pass_time(1.0)
        world.train(*others, *([] if liar in others else [liar]))
        if second % 3 == 2:
            for node in others:
                world.say(node, TrainerState.TRAINING, base=1, step=10, holds=True, counted=(world.quorum,))
        for lie in lies:
            world.say(liar, **({"state": TrainerState.TRAINING} | lie))
            world.step()


def as_it_was(world: World) -> None:
    assert (world.plan.generation, world.phase, world.aggregator) == (1, Phase.TRAIN, "a")
    assert world.formation and world.formation.number == 1
    assert not {"NewGeneration", "WorkerLeft"} & set(world.told)


@pytest.mark.attack(4)
@pytest.mark.parametrize("members", [(), ("c", "x"), ("x", "y"), ("c", "a", "b"), ("a", "b")])
@pytest.mark.parametrize("state", [TrainerState.TRAINING, TrainerState.PAUSED])
def test_a_formation_that_one_alone_speaks_of_is_none(state: TrainerState, members: tuple[str, ...]) -> None:
    world = trained("a", "b", "c")
    looks(world, 30, {"state": state} | alone(world, LIAR, *members))
    as_it_was(world)


@pytest.mark.attack(4)
def test_nor_is_it_where_there_are_two_of_them() -> None:
    world = trained("a", "b")
    looks(world, 30, alone(world, "b"), liar="b", others="a")
    as_it_was(world)


@pytest.mark.attack(4)
def test_nor_where_the_liar_is_the_first_that_a_new_operator_hears() -> None:
    world = trained("a", "b", "c")
    world.reports.clear()
    world.pass_time(1.0)
    world.since = world.now
    for state in (TrainerState.TRAINING, TrainerState.PAUSED):
        world.say(LIAR, **({"state": state} | alone(world)))
        world.settle()
        as_it_was(world)


@pytest.mark.attack(4)
def test_a_newcomer_that_one_alone_reports_lost_stays() -> None:
    world = trained("a", "b", "c")
    world.nodes["d"] = edge_node("d")
    world.settle()
    world.say("d")
    world.settle()
    for _ in range(2):
        world.pass_time(1.5)
        world.train("a", "b", "c")
        world.say(LIAR, TrainerState.TRAINING, **said_by(world, LIAR), lost=(worker_name("d"),))
        world.step()
    assert world.members == ["a", "b", "c", "d"]


def test_a_generation_has_not_begun_by_the_word_of_one() -> None:
    """No pod could begin it then that remembers no vote."""
    world = World.of("a", "b", "c")
    world.settle()
    for node in "abc":
        world.say(node)
    world.settle()
    assert world.phase == Phase.TRAIN
    world.say(LIAR, **({"state": TrainerState.TRAINING, "program": "liar's"} | alone(world)))
    world.settle()
    assert (world.plan.begun, world.stored.program, world.formation) == (False, "", None)
    world.train("a", "b", "c")
    for node in "ab":
        world.say(node, TrainerState.TRAINING, **said_by(world, node), program="ours")
    world.say(LIAR, TrainerState.TRAINING, **said_by(world, LIAR), program="liar's")
    world.settle()
    assert (world.plan.begun, world.stored.program) == (True, "ours")


def said_by(world: World, node: str) -> dict[str, Any]:
    part = world.reports[worker_name(node)].training
    assert part
    return {"formation": part.formation, "base": part.base, "counted": part.counted, "step": part.step}


def test_how_far_the_job_has_come_is_not_for_one_to_say() -> None:
    world = trained("a", "b", "c")
    for step in (FAR, 20):
        world.train("a", "b", "c", step=20)
        world.say(LIAR, TrainerState.TRAINING, **said_by(world, LIAR) | {"step": step})
        world.settle()
    assert world.status.progress.step == 20


def test_a_loss_is_not_gone_by_the_word_of_one() -> None:
    world = trained("a", "b", "c", runPolicy={"onNonFiniteLoss": "fail"})
    world.train("a", "b", "c", step=20)
    lie = said_by(world, LIAR) | {"step": 21, "loss_not_finite_since": 1}
    world.say(LIAR, TrainerState.TRAINING, **lie)
    world.settle()
    assert world.status.phase == "Training"


def test_a_group_that_stands_still_is_told_of_though_one_says_that_it_gets_on() -> None:
    world = trained("a", "b", "c")
    world.pass_time(70.0)
    for node in "abc":
        still = 0.0 if node == LIAR else 70.0
        said = said_by(world, node) | {"step_seconds": 1.0, "still_seconds": still}
        world.say(node, TrainerState.TRAINING, **said)
    world.settle()
    (stalled,) = [c for c in world.status.conditions if c.type == "Stalled"]
    assert stalled.status == "True"


# --- who is to be believed


def test_the_survivor_of_two_that_leads_is_believed() -> None:
    world = trained("a", "b")
    world.pass_time(6.0)
    world.train("a", number=2, lost=("b",))
    world.step()
    assert world.formation and list(world.formation.members) == [worker_name("a")]
    world.pass_time(1.5)
    world.train("a", number=2, lost=("b",))
    world.settle()
    assert world.members == ["a"]


def test_most_of_a_formation_are_believed_whatever_the_rest_still_says() -> None:
    world = trained("a", "b", "c")
    world.pass_time(1.0)
    world.train("a", "b", number=2)
    world.settle()
    assert world.formation and world.formation.number == 2


def test_a_last_one_whose_fellows_have_ended_is_believed() -> None:
    world = trained("a", "b", "c")
    world.remove_pod("b", "c")
    world.settle()
    world.train("a", number=2)
    world.step()
    assert world.formation and world.formation.number == 2


def test_two_that_the_operator_has_lost_sight_of_are_believed() -> None:
    """Of five, three are dark: what has become of them it has not heard."""
    world = trained("a", "b", "c", "d", "e")
    world.reports.clear()
    world.since = world.now
    world.train("d", "e", number=9)
    world.settle()
    assert world.formation and world.formation.number == 9
