"""Workers of a job in rounds end one by one, and the job when all have, or all who are heard."""

from dataclasses import replace
from typing import Any

from edgetrain_operator.core.actions import DeletePod, Forget
from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.rounds_report import HolderPart, RoundsPart
from tests.support.rounds_world import begun, finish, heard, hold, holders, name
from tests.support.world import World


def first_ends(**spec: Any) -> tuple[World, str, str]:
    """A worker that holds nothing has ended, and its pod."""
    world = begun("abcd", **spec)
    hold(world, "bc", council="abc")
    hold(world, "a", council="abc", leads=True)
    (first,) = set("abcd") - set(holders(world))
    finish(world, first)
    world.settle()
    world.change_pod(first, phase="Succeeded", ready=False)
    world.settle()
    return world, first, "abcd".replace(first, "")


def test_who_has_come_to_the_end_gets_no_further_pod_while_others_go_on() -> None:
    world, first, others = first_ends()
    world.reports.pop(worker_name(first))
    world.pass_time(30)
    heard(world, others)
    world.settle()
    assert len(world.pods) == 4 and world.lines()[first] == "Finished"
    assert world.status.phase == "Training"


def test_nor_do_the_others_lack_it_where_the_job_asks_for_so_many() -> None:
    world, first, others = first_ends(nodes={"min": 4})
    world.pass_time(30)
    heard(world, others)
    world.settle()
    assert world.served(others[0]).phase is Phase.TRAIN
    world.remove_pod(others[0])
    world.settle()
    world.say(others[0])
    world.settle()
    assert world.served(others[0]).generation == 2, "what one of them has lost begins anew"
    assert world.served(first).generation == 1


def test_a_job_is_complete_when_all_say_so_and_those_who_still_run_are_told_to_stop() -> None:
    world, _, others = first_ends()
    for node in others:
        held = HolderPart(name=name(world, node), council=[name(world, n) for n in others], leads=node == "a")
        finish(world, node, model="/models/m", holder=held)
    world.settle()
    assert world.status.phase == "Complete"
    assert world.served(others[0]).phase is Phase.STOP
    told = world.status.rounds
    world.reports.clear()
    world.pass_time(WIND_DOWN_SECONDS + 1)
    decision = world.step()
    deleted = {action.name for action in decision.actions if isinstance(action, DeletePod)}
    assert deleted == {world.pod(node).name for node in others}
    assert any(isinstance(action, Forget) for action in decision.actions)
    assert told and world.status.rounds == told and told.lead == "a", "it stays as it was"


def test_an_operator_that_is_new_does_not_wait_for_those_who_ended_before() -> None:
    world, first, others = first_ends()
    del world.reports[worker_name(first)]
    finish(world, *others)
    world.settle()
    assert world.status.phase == "Complete"


def test_who_is_not_heard_when_all_is_merged_holds_nobody_up() -> None:
    world = begun("abcd")
    world.pass_time(60)
    finish(world, "a", "b", "c")
    world.settle()
    assert world.status.phase == "Complete"


def test_of_data_of_their_own_one_that_has_ended_says_that_all_have() -> None:
    """The log ends with the last group that the plan has."""
    for ended, phase in ((True, "Complete"), (False, "Training")):
        world = begun("abcd", data={"policy": "local"})
        world.pass_time(60)
        part = RoundsPart(version=9, applied=9)
        for node in "abc":
            state = TrainerState.FINISHED if ended else TrainerState.TRAINING
            world.say(node, state, step=50, rounds=part)
        world.settle()
        assert world.status.phase == phase


def test_but_it_waits_for_half_of_all() -> None:
    world = begun("abcd")
    world.pass_time(60)
    finish(world, "a", "b")
    world.settle()
    assert world.status.phase != "Complete"


def test_who_ends_because_the_job_was_told_to_stop_has_not_come_to_the_end() -> None:
    world = begun("abc")
    world.spec["suspend"] = True
    world.settle()
    finish(world, "a")
    for node in "abc":
        world.change_pod(node, phase="Succeeded", ready=False)
    world.settle()
    world.finish_deletions()
    world.spec["suspend"] = False
    world.settle()
    assert {pod.attempt for pod in world.pods.values()} == {2} and len(world.pods) == 3


def test_nor_has_one_whose_pod_is_being_deleted() -> None:
    world = begun("abc")
    world.spec["nodes"] = {"exclude": ["c"]}
    world.settle()
    world.change_pod("c", phase="Succeeded", ready=False)
    world.spec["nodes"] = {}
    world.settle()
    assert world.pod("c").attempt == 2


def test_one_whose_pod_is_lost_goes_on_in_another() -> None:
    world = begun("abc")
    world.pods[world.pod("a").uid] = replace(world.pod("a"), phase="Failed")
    world.settle()
    assert world.pod("a").attempt == 2
