"""Who holds the log of rounds is dialled by all: a worker behind NAT is not asked to."""

from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.rounds.planning import MEASURING_SECONDS
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.status import ConditionType
from tests.support.rounds_world import begun, hold, holders, in_rounds, name, rounds
from tests.support.world import World

RATES = {"a": 9e6, "b": 5e6, "c": 4e6, "d": 3e6}


def measured_late(hidden: str, council: str) -> World:
    """The first was named on no measures; then all are measured."""
    world = begun("abcd", rates={"a": 9e6})
    hold(world, "a", council="a")
    world.settle()
    world.measure(**RATES)
    world.hide(*hidden)
    hold(world, council, council=council)
    world.settle()
    return world


def degraded(world: World) -> tuple[str, str]:
    found = world.condition(ConditionType.DEGRADED)
    return found.reason, found.message


def test_whoever_has_the_best_link_is_not_named_if_others_do_not_reach_it() -> None:
    world = in_rounds("abcd")
    world.measure(**RATES)
    world.hide("a")
    for node in "abcd":
        world.say(node)
    world.settle()
    assert holders(world) == "bcd"


def test_one_that_was_named_before_goes_once_others_have_the_log() -> None:
    world = measured_late(hidden="a", council="a")
    assert set(holders(world)) == set("abc"), "it alone has the log"
    hold(world, "abc", council="abc", committed=2)
    world.settle()
    assert set(holders(world)) == set("bcd")
    assert name(world, "a") not in {holder.name for holder in rounds(world).holders}
    assert "HolderLost" in world.told


def test_where_nobody_is_reached_one_is_named_all_the_same_and_the_job_says_why_nothing_is_merged() -> None:
    world = in_rounds("abc")
    world.measure(a=9e6, b=5e6, c=4e6)
    world.hide(*"abc")
    for node in "abc":
        world.say(node)
    world.settle()
    world.pass_time(MEASURING_SECONDS)
    for node in "abc":
        world.say(node)
    world.settle()
    assert holders(world) == "a"
    for node in "abc":
        world.train(node)
    world.settle()
    reason, message = degraded(world)
    assert reason == "NoReachableAggregator" and "others cannot reach a," in message
    world.measure(a=9e6, b=5e6, c=4e6)
    world.settle()
    assert degraded(world)[0] != "NoReachableAggregator"
    assert {holder.worker for holder in rounds(world).holders} == {worker_name(n) for n in "abc"}


def test_nobody_trains_before_it_is_known_whom_others_reach_or_that_has_taken_too_long() -> None:
    """Each group would train a model of its own."""
    world = in_rounds("abc")
    for node in "abc":
        world.say(node)
    world.settle()
    assert world.served("a").phase is Phase.WAIT and world.served("a").rounds is None
    assert world.condition(ConditionType.TRAINING).reason == "WaitingForHolder"
    world.pass_time(MEASURING_SECONDS)
    for node in "abc":
        world.say(node)
    world.settle()
    assert world.served("a").phase is Phase.TRAIN and holders(world)


def test_where_two_can_be_reached_one_holds_the_log() -> None:
    world = in_rounds("abc")
    world.measure(a=9e6, b=5e6, c=4e6)
    world.hide("a")
    for node in "abc":
        world.say(node)
    world.settle()
    assert holders(world) == "b"


def test_where_no_worker_says_which_disk_it_has_the_job_says_what_to_do() -> None:
    """As those of an older image."""
    world = in_rounds("abc")
    world.measure(a=9e6, b=5e6, c=4e6)
    for node in "abc":
        world.say(node, log_disk="")
    world.settle()
    found = world.condition(ConditionType.TRAINING)
    assert found.reason == "WaitingForHolder" and "no older than the operator's" in found.message
