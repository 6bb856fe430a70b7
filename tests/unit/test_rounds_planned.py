"""Who holds the log of rounds, who begins it, and which groups are in it: what the job's plan says."""

from dataclasses import replace

import pytest

from edgetrain_operator.core.naming import holder_name, worker_name
from edgetrain_operator.core.planning import FIRST_PLAN_SECONDS
from edgetrain_operator.core.rounds.planning import MEASURING_SECONDS
from edgetrain_operator.fleet.plans import PlanBoard
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.rounds_report import HolderPart
from tests.support.rounds_world import (
    begun,
    heard,
    hold,
    holders,
    in_rounds,
    lose,
    merged,
    name,
    rounds,
)


@pytest.mark.parametrize(
    ("nodes", "of", "rates", "sites"),
    [
        ("ab", "b", {"a": 1e6, "b": 2e6}, ""),
        ("abcd", "cab", {"c": 9e6, "a": 2e6, "b": 2e6, "d": 1e6}, ""),
        ("abcd", "d", {"d": 9e6}, ""),
        ("abc", "cab", {"c": 9e6}, ""),
        ("abcd", "dcb", {"d": 9e6, "b": 8e6, "a": 2e6, "c": 1e6}, "xxyx"),
    ],
)
def test_as_many_hold_the_log_as_groups_call_for_the_best_connected_across_sites(
    nodes: str, of: str, rates: dict[str, float], sites: str
) -> None:
    world = begun(nodes, rates=rates, sites=sites)
    assert holders(world) == of
    assert rounds(world).founder == name(world, of[0])
    assert rounds(world).local_steps == 8


@pytest.mark.parametrize(
    ("sites", "of"),
    [("nnss", "acb"), ("nns", "acb"), ("ns", "a"), ("nnnssstttuuu", "adg"), ("n" * 12, "abc")],
)
def test_where_sites_are_few_three_workers_hold_the_log_across_them(sites: str, of: str) -> None:
    """One would do for two groups, and lose all with its pod."""
    nodes = "abcdefghijkl"[: len(sites)]
    world = begun(nodes, grouping="site", sites=sites)
    assert holders(world) == of
    groups: dict[str, list[str]] = {}
    for node, site in zip(nodes, sites, strict=True):
        groups.setdefault(site, []).append(worker_name(node))
    assert rounds(world).groups == {site: tuple(sorted(members)) for site, members in groups.items()}


def test_where_there_is_a_choice_the_second_is_named_when_links_are_measured_or_have_had_their_time() -> None:
    for rates, line in (({"a": 1e6, "b": 2e6, "c": 3e6, "d": 4e6}, "adc"), ({"d": 4e6}, "adb")):
        world = begun("abcd", rates={"a": 1e6})
        assert holders(world) == "a", "the log has to begin"
        world.measure(**rates)
        if len(rates) < 4:
            world.settle()
            assert holders(world) == "a"
            world.pass_time(MEASURING_SECONDS)
            world.measure(**rates)
        heard(world, "abcd")
        world.settle()
        assert (holders(world), rounds(world).founder) == (line, name(world, "a"))


def test_a_holder_is_the_disk_of_a_pod_and_is_asked_where_that_reports() -> None:
    world = begun("abc")
    first = rounds(world).holders[0]
    node = holders(world)[0]
    assert first.name == name(world, node) != holder_name(first.worker, "another-pod", 1)
    assert first.name != holder_name(first.worker, first.pod_uid, 2), "another lineage has another log"
    assert first.pod_uid == world.pod(node).uid
    held = world.reports[first.worker]
    head = held.head.model_copy(update={"address": "10.9.9.9", "rounds_port": 20_005})
    world.reports[first.worker] = replace(held, head=head)
    world.settle()
    assert (rounds(world).holders[0].address, rounds(world).holders[0].port) == ("10.9.9.9", 20_005)


def test_where_all_are_one_group_no_plan_speaks_of_rounds() -> None:
    world = begun("abc", grouping="all")
    assert world.stored.plan and world.stored.plan.rounds is None


@pytest.mark.parametrize("policy", ["distributed", "local"])
def test_whosever_the_data_are_groups_train_one_model(policy: str) -> None:
    assert len(rounds(begun("abc", data={"policy": policy})).groups) == 3


def test_who_was_never_a_member_is_no_group_of_the_log() -> None:
    """Where data are each group's own, it would be waited for at the end."""
    world = in_rounds("abcd")
    world.measure(a=1e6)
    for node in "abc":
        world.say(node)
    world.settle()
    world.pass_time(FIRST_PLAN_SECONDS)
    heard(world, "abc")
    world.settle()
    assert rounds(world).groups.keys() == {worker_name(node) for node in "abc"}
    world.say("d")
    world.settle()
    assert worker_name("d") in rounds(world).groups


def test_each_group_has_all_data_and_holders_alone_are_told_who_is_in_which() -> None:
    world = begun("abcd")
    for node in "abcd":
        served = world.served(node)
        assert served.rounds and served.rounds.holders == rounds(world).holders
        told = {worker_name(n): (worker_name(n),) for n in "abcd"} if node in holders(world) else {}
        assert served.rounds.groups == told


def test_all_of_a_holders_group_are_served_what_it_is_told_since_they_pass_plans_on() -> None:
    plan = begun("abc", grouping="site").stored.plan
    assert plan and plan.rounds and len({plan.slice_for(worker_name(node)).group for node in "abc"}) == 1
    first = plan.rounds.model_copy(update={"holders": plan.rounds.holders[:1]})
    board = PlanBoard(lambda text: "signed")
    board.publish("uid", plan.model_copy(update={"rounds": first}))
    served = [board.newer_than("uid", worker_name(node), 0, 0) for node in "abc"]
    told = [Plan.from_wire(one.text).rounds for one in served if one]
    assert [bool(part.groups) for part in told if part] == [True, True, True]


def test_rates_and_reports_make_no_new_plan() -> None:
    world = begun("abc")
    before = rounds(world)
    revision = world.plan.revision
    world.measure(a=1e6, b=2e7, c=9e7)
    hold(world, "abc")
    world.settle()
    assert (rounds(world), world.plan.revision) == (before, revision)


def test_a_holder_stays_while_its_pod_is_there_and_another_comes_in_when_it_is_gone() -> None:
    world = begun("abcd")
    hold(world, "abc")
    world.settle()
    world.nodes["b"] = replace(world.nodes["b"], ready=False)
    world.pass_time(300)
    hold(world, "ac", council="abc", committed=2)
    heard(world, "d")
    world.settle()
    assert holders(world) == "abc", "it may come back"
    gone = name(world, "b")
    lose(world, "b")
    world.settle()
    assert [holder.worker for holder in rounds(world).holders] == [worker_name(n) for n in "acd"]
    assert gone not in {holder.name for holder in rounds(world).holders}


def test_the_same_node_with_a_new_pod_is_another_holder_behind_those_who_were_there() -> None:
    world = begun("abc")
    first, old = holders(world), name(world, "a")
    world.remove_pod("a")
    world.settle()
    world.say("a")
    world.settle()
    assert holders(world) == first.replace("a", "") + "a"
    assert old not in {holder.name for holder in rounds(world).holders}


def test_one_that_is_silent_for_longer_than_the_job_waits_is_replaced() -> None:
    world = begun("abcd")
    silent = holders(world)[1]
    others = "abcd".replace(silent, "")
    for _ in range(3):
        heard(world, others)
        world.settle()
        world.pass_time(301)
    heard(world, others)
    world.settle()
    assert silent not in holders(world) and len(holders(world)) == 3
    assert worker_name(silent) not in rounds(world).groups


def test_the_founder_is_named_anew_only_while_nobody_has_heard_of_a_log() -> None:
    world = begun("abcd")
    first, second, _ = tuple(holders(world))
    lose(world, first)
    heard(world, "abcd".replace(first, ""))
    world.settle()
    assert rounds(world).founder == name(world, second)
    hold(world, second)
    world.settle()
    before = rounds(world).founder
    lose(world, second)
    world.settle()
    assert second not in holders(world) and rounds(world).founder == before


def test_no_other_founder_is_named_while_one_whom_the_first_may_have_told_is_silent() -> None:
    world = begun("abcd")
    first, second, third = tuple(holders(world))
    before = rounds(world).founder
    world.pass_time(60)
    lose(world, first)
    heard(world, third)
    world.settle()
    assert rounds(world).founder == before
    heard(world, second + third)
    world.settle()
    assert rounds(world).founder == name(world, second)


def test_where_the_plan_is_lost_a_log_that_had_begun_is_not_begun_again() -> None:
    world = begun("abc")
    hold(world, "abc")
    world.settle()
    merged(world, "abc", version=1)
    world.settle()
    world.stored = type(world.stored)()
    world.reports.clear()
    for node in "abc":
        world.say(node)
    world.settle()
    assert rounds(world).founder == "" and set(holders(world)) == set("abc")


def test_a_group_is_named_while_its_node_has_a_place_in_the_job() -> None:
    world = begun("abc")

    def named() -> set[str]:
        return {node for node in "abc" if rounds(world).groups.get(worker_name(node))}

    world.remove_pod("c")
    world.settle()
    assert named() == set("abc"), "its pod is being replaced"
    world.nodes["c"] = replace(world.nodes["c"], labels={})
    world.settle()
    assert named() == set("ab")


def test_who_is_not_named_in_the_plan_is_not_believed_to_hold_a_log() -> None:
    world = begun("abcd")
    stranger = next(node for node in "abcd" if node not in holders(world))
    hold(world, stranger, committed=10**9)
    part = HolderPart(name=name(world, holders(world)[0]), council=("x",), committed=1)
    world.say(holders(world)[1], TrainerState.TRAINING, holder=part)
    world.settle()
    assert not world.stored.rounds.begun and not world.stored.rounds.council
