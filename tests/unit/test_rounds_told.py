"""What a job's status, conditions and Events say of its rounds."""

import pytest

from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.rounds.troubles import TROUBLE_SECONDS
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.rounds_report import RoundsPart
from edgetrain_protocol.status import ConditionType
from tests.support.rounds_world import begun, heard, hold, holders, lose, merged
from tests.support.world import World


def three() -> World:
    """All hold the log, and the first leads."""
    world = begun("abc")
    hold(world, "bc", council="abc")
    hold(world, "a", council="abc", leads=True, term=1)
    world.settle()
    return world


def degraded(world: World) -> tuple[str, str, str]:
    found = world.condition(ConditionType.DEGRADED)
    return found.status, found.reason, found.message


def messages(world: World) -> list[str]:
    decision = world.step()
    return [f"{event.reason}: {event.message}" for event in decision.events]


def test_status_says_how_far_the_one_model_is() -> None:
    world = three()
    merged(world, "ab", version=11, samples=240)
    merged(world, "c", version=12, samples=250, samples_per_second=75.0)
    world.settle()
    progress = world.status.progress
    assert (progress.version, progress.merged_samples, progress.percent) == (12, 250, 25.0)
    assert world.status.rounds
    assert (world.status.rounds.version, world.status.rounds.groups) == (12, 3)


def test_it_never_goes_back_and_one_alone_is_not_believed_far_ahead_of_all_others() -> None:
    world = three()
    merged(world, "abc", version=12, samples=250)
    world.settle()
    merged(world, "ab", version=10, samples=200)
    merged(world, "c", version=10**9, samples=10**9)
    world.settle()
    progress = world.status.progress
    assert (progress.version < 200, progress.merged_samples, progress.percent) == (True, 250, 25.0)


def test_nor_does_it_go_back_where_those_who_know_more_are_gone() -> None:
    world = three()
    merged(world, "abc", version=12, samples=250)
    world.settle()
    world.reports.clear()
    merged(world, "abc", version=10, samples=200)
    world.settle()
    assert (world.status.progress.version, world.status.progress.merged_samples) == (12, 250)


def test_holders_know_of_a_version_before_any_group_has_read_of_it() -> None:
    world = three()
    hold(world, "abc", version=7)
    world.settle()
    assert world.status.progress.version == 7


def test_status_names_who_holds_the_log_and_who_leads() -> None:
    world = begun("abc")
    assert world.status.rounds and world.status.rounds.holders == ["a", "b", "c"]
    hold(world, "a", leads=True)
    world.settle()
    assert (world.status.rounds.lead, world.status.rounds.holders) == ("a", ["a"])
    world.pass_time(60)
    heard(world, "bc")
    world.settle()
    assert world.status.rounds.lead == "", "nobody is heard that does"


def test_events_tell_who_is_to_hold_the_log_and_on_which_measure() -> None:
    world = three()
    lose(world, "b")
    (lost,) = [said for said in messages(world) if said.startswith("HolderLost")]
    assert "b holds the log of rounds no more: its pod is gone" in lost
    assert {"HoldersNamed", "LeadChanged"} <= set(world.told)


def test_an_event_tells_of_another_lead_and_what_became_of_the_one_before() -> None:
    world = three()
    lose(world, "a")
    hold(world, "b", council="abc", leads=True, term=2)
    (told,) = [said for said in messages(world) if said.startswith("LeadChanged")]
    assert told == "LeadChanged: b leads the log of rounds, term 2; before it a did, whose disk is gone"


def test_a_log_whose_holders_are_mostly_gone_for_good_is_lost_and_the_status_says_so() -> None:
    world = three()
    lose(world, "a")
    hold(world, "bc", council="abc")
    world.settle()
    assert degraded(world)[1] != "RoundsLost", "two of three go on"
    lose(world, "b")
    hold(world, "c", council="abc")
    world.settle()
    status, reason, message = degraded(world)
    assert (status, reason) == ("True", "RoundsLost")
    assert "disks of a, b" in message and "make a new job" in message
    world.stored = type(world.stored).from_wire(world.stored.to_document())
    world.reports.clear()
    world.settle()
    assert degraded(world)[1] == "RoundsLost", "it is remembered when nobody is heard"


def test_an_old_word_on_who_holds_the_log_does_not_take_the_place_of_a_newer_one() -> None:
    world = three()
    hold(world, "abc", council="abc", committed=5)
    world.settle()
    world.reports.clear()
    hold(world, "c", committed=0)
    world.settle()
    assert world.status.rounds and sorted(world.status.rounds.holders) == ["a", "b", "c"]


def test_it_is_not_lost_while_those_who_are_missing_may_come_back() -> None:
    world = three()
    world.pass_time(300)
    hold(world, "c", council="abc")
    world.settle()
    assert degraded(world)[1] != "RoundsLost"


def test_of_two_a_lead_can_do_without_the_other_and_the_other_not_without_it() -> None:
    for leads, reason in ((True, False), (False, True)):
        world = begun("abc")
        first, second, _ = tuple(holders(world))
        hold(world, first + second)
        world.settle()
        lose(world, second)
        hold(world, first, council=first + second, leads=leads)
        world.settle()
        assert (degraded(world)[1] == "RoundsLost") is reason


def test_a_log_that_never_began_is_not_lost() -> None:
    world = begun("abc")
    lose(world, *"ab")
    heard(world, "c")
    world.settle()
    assert degraded(world)[1] != "RoundsLost"


@pytest.mark.parametrize("nodes", ["a", "abc"])
def test_who_finds_nobody_to_merge_its_work_for_long_is_named_with_the_reason(nodes: str) -> None:
    world = three()
    part = RoundsPart(version=3, applied=3, trouble=f"{worker_name('b')} answers that it does not lead")
    for seconds in (0.0, TROUBLE_SECONDS - 1):
        world.pass_time(seconds)
        hold(world, "abc", council="abc", rounds=None)
        for node in nodes:
            world.say(node, TrainerState.TRAINING, rounds=part)
        world.settle()
        assert degraded(world)[1] != "NotMerged"
    world.pass_time(1.0)
    world.settle()
    _, reason, message = degraded(world)
    assert reason == "NotMerged"
    assert f"no work is merged of {', '.join(nodes)}: b answers that it does not lead" in message
    heard(world, nodes)
    world.settle()
    assert degraded(world)[1] != "NotMerged"


def test_a_holder_that_cannot_write_is_named() -> None:
    world = three()
    hold(world, "b", council="abc", trouble="no space left on device")
    world.settle()
    assert degraded(world)[1:] == (
        "LogNotWritten",
        "b: it cannot write the log of rounds: no space left on device",
    )


def test_it_is_said_that_groups_train_one_model_and_what_a_suspension_costs() -> None:
    world = three()
    world.train("a")
    world.settle()
    assert "which train one model in rounds" in world.condition(ConditionType.TRAINING).message
    world.spec["suspend"] = True
    world.settle()
    assert "a new job has to be made then" in world.condition(ConditionType.SUSPENDED).message


def test_a_group_that_begins_anew_takes_the_end_of_the_job_not_back() -> None:
    world = begun("abc", runPolicy={"stopWhen": [{"steps": 10}]})
    hold(world, "abc", council="abc")
    world.settle()
    for node in "abc":
        world.train(node, step=10)
    world.settle()
    assert world.stored.plan and world.stored.plan.finish
    world.remove_pod("c")
    world.settle()
    world.say("c")
    world.settle()
    assert world.served("c").generation == 2
    assert world.stored.plan.finish and "NewGeneration" in world.told


def test_a_site_whose_members_wait_for_each_other_gets_another_formation_and_then_a_generation() -> None:
    """That they are in rounds with others says nothing of what holds them up."""
    world = begun("abcde", grouping="site", sites="nnnss")
    for site in ("abc", "de"):
        world.train(*site, step=5)
    world.settle()
    for _ in range(4):
        world.pass_time(60.0)
        for node in "de":
            world.say(node, TrainerState.TRAINING, rounds=RoundsPart(version=4, applied=4), step=50)
        still = {"step": 5, "still_seconds": 700.0, "rounds": RoundsPart(version=3, applied=3)}
        world.say("a", TrainerState.TRAINING, base=1, **still)
        for node in "bc":
            world.say(node, TrainerState.PAUSED, base=1, waits="a is to vote", **still)
        world.settle()
    assert world.served("a").nudge > 0 and world.served("a").generation > 1
    assert (world.served("d").nudge, world.served("d").generation) == (0, 1)


def test_a_group_that_has_come_to_the_end_of_its_own_data_does_not_stall_the_job() -> None:
    """However long it waits for the others, which are slower."""
    world = begun("abc", data={"policy": "local"})
    for _ in range(4):
        world.pass_time(60.0)
        for node in "abc":
            ended = RoundsPart(version=3, applied=3, ended=node == "a")
            still = 700.0 if node == "a" else 0.0
            world.say(node, TrainerState.TRAINING, rounds=ended, step=5, still_seconds=still)
        world.settle()
    assert world.condition(ConditionType.STALLED).status == "False"
    assert world.condition(ConditionType.TRAINING).status == "True"


def test_a_worker_that_waits_for_the_log_is_named_and_keeps_its_generation() -> None:
    world = three()
    part = RoundsPart(version=3, applied=3, trouble="nobody leads")
    for _ in range(10):
        world.pass_time(60.0)
        for node in "abc":
            world.say(node, TrainerState.TRAINING, rounds=part, step=5, still_seconds=700.0)
        world.settle()
    stalled = world.condition(ConditionType.STALLED)
    assert stalled.status == "True" and "nobody leads" in stalled.message
    assert {world.served(node).generation for node in "abc"} == {1}
    assert {world.served(node).nudge for node in "abc"} == {0}
