"""Failure rules: the first that matches decides, and what ends a pod from outside is no failure by itself."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgetrain_operator.core.failure_rules import End, ruling
from edgetrain_operator.core.model import ContainerEnd
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.run_policy import FailureRule
from tests.support.failing import DISRUPTED, ON_DRAIN, RULES, crash, fail, on_code
from tests.support.world import World, trained


def job(*rules: dict[str, Any], nodes: tuple[str, ...] = ("a", "b", "c"), limit: int = 6) -> World:
    return trained(*nodes, runPolicy={"backoffLimit": limit, "failureRules": list(rules)})


def failed(world: World) -> bool:
    return world.condition("Failed").status == "True"


@pytest.mark.parametrize("tell", [fail, crash])
def test_an_exit_code_ends_the_job_at_once(tell: Any) -> None:
    world = job({"action": "FailJob"} | on_code(3, 42))
    tell(world, "a", 1)
    assert (world.status.failures, failed(world)) == (1, False)
    tell(world, "b", 42)
    condition = world.condition("Failed")
    assert (condition.status, condition.reason) == ("True", "FailureRule")
    assert condition.message == (
        "b: ProgramFailed: it broke (exit code 42); runPolicy.failureRules[0] ends the job for that"
    )
    assert world.told.count("FailureRule") == 1
    world.settle()
    assert failed(world), "what is over stays over"


@pytest.mark.parametrize("tell", [fail, crash])
def test_what_is_ignored_counts_against_no_limit(tell: Any) -> None:
    world = job({"action": "Ignore"} | on_code(42), limit=2)
    for number in range(1, 6):
        if tell is crash:
            crash(world, "a", 42, times=number)
        else:
            fail(world, "a", 42)
    assert (world.status.failures, failed(world)) == (0, False)
    assert world.pod("a").living and "NodeLeftOut" not in world.told
    if tell is crash:
        crash(world, "a", 1, times=6)
    else:
        fail(world, "a", 1)
    assert world.status.failures == 1


def test_the_first_rule_that_matches_decides() -> None:
    world = job({"action": "Ignore"} | on_code(42), {"action": "FailJob"} | on_code(1, operator="NotIn"))
    fail(world, "a", 42)
    assert not failed(world) and world.status.failures == 0
    fail(world, "a", 1)
    assert not failed(world) and world.status.failures == 1
    fail(world, "a", 2)
    assert failed(world) and "failureRules[1]" in world.condition("Failed").message


@pytest.mark.parametrize("action", ["Count", "FailJob"])
def test_count_keeps_an_end_from_later_rules(action: str) -> None:
    world = job({"action": "Count"} | on_code(1), {"action": action} | on_code(1, 2))
    fail(world, "a", 1)
    assert world.status.failures == 1 and not failed(world)


def test_an_end_seen_twice_is_judged_once() -> None:
    world = job({"action": "Ignore"} | on_code(42))
    fail(world, "a", 42)
    end = ContainerEnd("trainer", "Error", 42, "it broke", 0)
    world.change_pod("a", crashes=1, idle=True, ends=(end,))
    world.settle()
    assert world.stored.workers[worker_name("a")].ignored == 1 and world.status.failures == 0


def test_memory_has_one_meaning_whoever_tells_of_it() -> None:
    for reason in ("OOMKilled", "OutOfMemory"):
        world = job({"action": "Ignore", "onReasons": [reason]})
        fail(world, "a", reason="OutOfMemory")
        crash(world, "b", 137, "OOMKilled")
        assert world.status.failures == 0
        fail(world, "c")
        assert world.status.failures == 1


@pytest.mark.parametrize("tell", [fail, crash])
@pytest.mark.parametrize(("reason", "counts"), [("ProgramFailed", 0), ("Error", 1)])
def test_a_reason_means_the_same_whoever_tells_of_it_first(tell: Any, reason: str, counts: int) -> None:
    world = job({"action": "Ignore", "onReasons": [reason]})
    tell(world, "a", 3)
    assert world.status.failures == counts


def test_a_reason_of_ours_ends_the_job() -> None:
    world = job({"action": "FailJob", "onReasons": ["EmptyDataset"]})
    fail(world, "a", reason="EmptyDataset")
    assert failed(world)


def test_a_trainer_that_tells_no_exit_code_ended_with_1() -> None:
    world = job({"action": "FailJob"} | on_code(1, operator="NotIn"))
    fail(world, "a", None)
    assert not failed(world)


@pytest.mark.parametrize("away", [{"conditions": DISRUPTED}, {"deleting": True}, {"phase": "Failed"}])
def test_how_a_program_ends_that_is_ended_from_outside_is_no_failure(away: dict[str, Any]) -> None:
    """Drained, preempted, deleted, evicted: also one that answers SIGTERM with an exit code of its own."""
    world = job({"action": "FailJob"} | on_code(143, operator="NotIn"), limit=0)
    fail_in = {"incarnation": "a-1", "error": "KeyboardInterrupt", "error_reason": "ProgramFailed"}
    world.say("a", TrainerState.FAILED, exit_code=1, **fail_in)
    world.change_pod("a", **away)
    world.settle()
    assert (world.status.failures, failed(world)) == (0, False)


def test_without_rules_neither_a_drain_nor_a_dark_node_counts() -> None:
    world = job(limit=0)
    world.change_pod("a", conditions=DISRUPTED, deleting=True)
    world.change_pod("b", phase="Failed", ends=(ContainerEnd("pod", "Evicted", message="disk pressure"),))
    world.change_pod("c", crashes=0, idle=True)  # the kubelet's last end is 255: its node lost power
    world.settle()
    world.finish_deletions()
    world.pass_time(100)
    world.settle()
    assert (world.status.failures, failed(world)) == (0, False)


def test_a_failure_before_a_pod_was_taken_away_is_one() -> None:
    """Both are seen together after an operator was away: a pod that is taken away starts nothing again."""
    world = job()
    crash(world, "a", 1, conditions=DISRUPTED)
    assert world.status.failures == 1


def test_a_drain_counts_where_a_rule_says_so_and_once_for_each_pod() -> None:
    world = job({"action": "Count"} | ON_DRAIN, limit=1)
    world.change_pod("a", conditions=DISRUPTED)
    world.settle()
    world.change_pod("a", deleting=True)
    world.settle()
    assert (world.status.failures, failed(world)) == (1, False)
    world.finish_deletions()
    world.settle()
    world.change_pod("a", conditions=DISRUPTED)
    world.settle()
    assert failed(world), "another pod of it"


def test_an_eviction_ends_the_job_where_a_rule_says_so() -> None:
    world = job({"action": "FailJob", "onReasons": ["Evicted"]})
    world.change_pod("b", phase="Failed", ends=(ContainerEnd("pod", "Evicted", message="disk pressure"),))
    world.settle()
    assert world.condition("Failed").message.startswith(
        "b: Evicted: disk pressure; runPolicy.failureRules[0]"
    )


def test_the_words_of_a_thousand_that_end_the_job_together_fit_the_document() -> None:
    nodes = tuple(f"n{number}" for number in range(1000))
    world = World.of(
        *nodes, nodes={"max": 1000}, runPolicy={"failureRules": [{"action": "FailJob"} | on_code(3)]}
    )
    world.settle()
    for node in nodes:
        said = {"error": "x" * 4000, "error_reason": "ProgramFailed", "exit_code": 3}
        world.say(node, TrainerState.FAILED, **said)
    world.step()
    assert failed(world)
    assert sum(bool(record.fatal) for record in world.stored.workers.values()) == 1


def test_rules_that_come_later_are_for_later_ends() -> None:
    world = job()
    fail(world, "a", 42)
    world.spec = {"runPolicy": {"failureRules": [{"action": "FailJob"} | on_code(42)]}}
    world.settle()
    assert not failed(world)
    fail(world, "a", 42)
    assert failed(world)


def test_what_is_ignored_on_several_members_is_no_common_cause() -> None:
    world = job({"action": "Ignore"} | on_code(42))
    for node in "abc":
        fail(world, node, 42)
    assert world.status.failures == 0
    assert all(record.common == 0 for record in world.stored.workers.values())


def test_a_node_that_is_taken_back_has_nothing_against_it() -> None:
    world = trained(
        "a",
        "b",
        runPolicy={"backoffLimitPerNode": 0, "failureRules": [{"action": "Ignore"} | on_code(42)]},
    )
    fail(world, "a", 42)
    fail(world, "a", 1)
    assert world.stored.workers[worker_name("a")].left_out
    world.spec["nodes"] = {"exclude": ["a"]}
    world.settle()
    record = world.stored.workers[worker_name("a")]
    assert (record.judged_failures, record.ignored) == (0, 0)


def test_records_of_the_version_before_have_nothing_judged() -> None:
    old = {"workers": {worker_name("a"): {"node": "a", "attempt": 1, "crashes": 2}}}
    record = StoredPlan.from_wire(json.dumps(old)).workers[worker_name("a")]
    assert (record.judged_failures, record.fatal, record.ignored) == (2, "", 0)


def test_what_ends_again_before_it_was_heard_has_no_cause_with_the_others_once_more() -> None:
    rule = {"action": "Count", "onPodConditions": [{"type": "DisruptionTarget"}]}
    world = trained("a", "b", runPolicy={"failureRules": [rule]})
    for node in "abb":
        world.change_pod(node, conditions=DISRUPTED)
        world.settle()
        world.finish_deletions()
        world.change_pod(node, phase="Failed")
        world.settle()
        world.pass_time(1000)
        world.settle()
    counts = {r.node: (r.common, r.own_failures) for r in world.stored.workers.values()}
    assert counts == {"a": (1, 0), "b": (1, 1)}


ENDS = st.builds(
    End,
    st.frozensets(st.sampled_from(["A", "B", "C"])),
    st.none() | st.integers(1, 6),
    st.sampled_from([{}, DISRUPTED, {"DisruptionTarget": "False"}]),
)


@given(RULES, ENDS)
def test_only_the_first_rule_that_matches_alone_decides(rules: list[FailureRule], end: End) -> None:
    alone = [number for number, rule in enumerate(rules) if ruling([rule], end)]
    found = ruling(rules, end)
    assert (found.number if found else None) == (alone[0] if alone else None)
    assert found is None or found.action is rules[found.number].action


@given(st.integers(1, 255), st.sets(st.integers(1, 255), min_size=1))
def test_every_exit_code_is_in_or_not_in(code: int, values: set[int]) -> None:
    end = End(exit_code=code)
    found = [
        ruling([FailureRule.model_validate({"action": "Count"} | on_code(*values, operator=operator))], end)
        for operator in ("In", "NotIn")
    ]
    assert [bool(ruled) for ruled in found] == [code in values, code not in values]


@pytest.mark.parametrize("code", [0, 256])
def test_a_code_that_is_none_is_refused(code: int) -> None:
    with pytest.raises(ValidationError):
        FailureRule.model_validate({"action": "Count"} | on_code(code))
