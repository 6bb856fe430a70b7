"""Who is in the plan, and what a new plan needs."""

import pytest

from edgetrain_operator.core.groups.membership import LOST_SECONDS, REJOIN_SECONDS
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.planning import FIRST_PLAN_SECONDS
from edgetrain_operator.core.report_view import HEARD_SECONDS, TAKE_OVER_SECONDS
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.fleet_state import NodeRate
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import Checkpoint, Totals, TrainerState
from edgetrain_protocol.strategy import Payload
from tests.support.world import World, edge_node, trained


def keep_talking(
    world: World, *nodes: str, seconds: float, number: int = 1, lost: tuple[str, ...] = ()
) -> None:
    """Time passes in which these train and report every second."""
    for _ in range(round(seconds)):
        world.pass_time(1.0)
        world.train(*nodes, number=number, lost=lost)
        world.step()


def test_first_plan_when_all_placed_workers_are_ready() -> None:
    world = World.of("a", "b")
    world.settle()
    assert sorted(pod.node for pod in world.pods.values()) == ["a", "b"]
    world.say("a")
    world.settle()
    assert world.stored.plan is None
    world.say("b")
    world.settle()
    assert world.members == ["a", "b"]
    assert (world.plan.generation, world.plan.revision, world.plan.phase) == (1, 1, Phase.TRAIN)


def test_first_plan_does_not_wait_for_ever_for_a_slow_worker() -> None:
    world = World.of("a", "b")
    world.settle()
    world.say("a")
    decision = world.step()
    assert decision.requeue_at is not None and decision.requeue_at <= world.now + FIRST_PLAN_SECONDS
    world.pass_time(FIRST_PLAN_SECONDS)
    world.say("a")
    world.settle()
    assert world.members == ["a"]
    world.say("b")
    world.settle()
    assert world.members == ["a", "b"]
    assert world.plan.revision == 2


def test_a_program_that_still_starts_is_no_member() -> None:
    world = trained("a")
    world.nodes["b"] = edge_node("b")
    world.settle()
    world.say("b", TrainerState.STARTING)
    world.settle()
    assert world.members == ["a"]


def test_training_waits_below_min_and_goes_on_above() -> None:
    world = trained("a", "b", nodes={"min": 2})
    world.remove_pod("b")
    keep_talking(world, "a", seconds=2)
    assert world.members == ["a"]
    assert world.phase == Phase.WAIT
    world.say("b")
    world.train("a", number=1)
    world.pass_time(REJOIN_SECONDS)
    world.train("a", number=1)
    world.say("b")
    world.settle()
    assert world.phase == Phase.TRAIN


def test_a_dark_node_stays_a_member_while_its_group_vouches_for_it() -> None:
    world = trained("a", "b", "c")
    world.nodes["c"] = edge_node("c", ready=False)
    before = world.plan
    world.pass_time(60)
    world.train("a", "b", "c")
    del world.reports[worker_name("c")]
    world.settle()
    assert world.plan == before


def test_a_member_leaves_by_its_groups_word() -> None:
    world = trained("a", "b", "c")
    keep_talking(world, "a", "b", number=2, lost=("c",), seconds=LOST_SECONDS + 1)
    assert world.members == ["a", "b"]
    assert "WorkerLeft" in world.told


def test_a_member_that_its_group_lost_and_that_is_heard_stays_and_is_a_newcomer() -> None:
    world = trained("a", "b", "c")
    for _ in range(10):
        world.pass_time(1.0)
        world.train("a", "b", number=2, lost=("c",))
        world.say("c", TrainerState.PAUSED)
        world.step()
    assert world.members == ["a", "b", "c"]


def c_leaves_and_is_heard(world: World, number: int) -> None:
    """Of a, b and c; the others go on in a formation of this number."""
    keep_talking(world, "a", "b", number=number, lost=("c",), seconds=3)
    assert world.members == ["a", "b"]
    world.say("c", TrainerState.PAUSED)
    world.step()


def test_a_member_that_left_comes_back_when_heard() -> None:
    world = trained("a", "b", "c")
    c_leaves_and_is_heard(world, number=2)
    assert world.members == ["a", "b", "c"]


def test_a_member_that_left_twice_in_a_minute_comes_back_not_at_once() -> None:
    world = trained("a", "b", "c")
    c_leaves_and_is_heard(world, number=2)
    world.train("a", "b", "c", number=3)
    world.settle()
    c_leaves_and_is_heard(world, number=4)
    left = world.now
    assert world.members == ["a", "b"]
    while "c" not in world.members:
        assert world.now < left + REJOIN_SECONDS + 2
        world.pass_time(1.0)
        world.train("a", "b", number=4, lost=("c",))
        world.say("c", TrainerState.PAUSED)
        world.step()
    assert world.members == ["a", "b", "c"]


def test_a_member_silent_alone_and_in_no_formation_leaves_after_its_grace() -> None:
    world = World.of("a", "b")
    world.settle()
    world.say("a")
    world.say("b")
    world.settle()
    silent_from = world.now
    while "b" in world.members:
        assert world.now - silent_from < 8
        world.pass_time(1.0)
        world.train("a")
        world.step()
    assert world.now - silent_from > HEARD_SECONDS


def test_a_silent_member_is_kept_where_the_others_do_not_train() -> None:
    """Its vote may be what they wait for; left out, it would have to come back before anything goes on."""
    world = trained("a", "b", "c")
    for _ in range(20):
        world.pass_time(1.0)
        world.pause("a")
        world.step()
    assert world.members == ["a", "b", "c"]


def test_a_group_of_which_nobody_is_heard_is_left_as_it_is_until_offline_grace() -> None:
    world = trained("a", "b", elastic={"offlineGraceSeconds": 600})
    for name in ("a", "b"):
        world.nodes[name] = edge_node(name, ready=False)
    before = world.plan
    for _ in range(10):
        world.pass_time(59)
        world.step()
    assert world.plan == before
    assert set(world.lines().values()) == {"Paused"}
    world.pass_time(70)
    world.settle()
    assert world.plan.groups == ()
    assert world.phase == Phase.WAIT
    assert {pod.deleting for pod in world.pods.values()} == {True}


def test_a_detached_group_is_kept_over_a_restart_of_the_operator() -> None:
    world = trained("a", "b")
    before = world.plan
    world.reports.clear()
    world.since = world.now
    for _ in range(100):
        world.pass_time(10)
        world.settle()
    assert world.plan == before


def test_after_a_take_over_a_missing_report_is_unknown_not_lost() -> None:
    world = trained("a", "b", "c")
    world.since = world.now
    world.reports.clear()
    for _ in range(int(TAKE_OVER_SECONDS) - 1):
        world.pass_time(1.0)
        world.train("a", "b", number=2, lost=("c",))
        world.step()
    assert world.members == ["a", "b", "c"]
    keep_talking(world, "a", "b", number=2, lost=("c",), seconds=4)
    assert world.members == ["a", "b"]


def test_a_pod_that_is_gone_is_replaced_under_another_name_and_joins_as_itself() -> None:
    world = trained("a", "b", "c")
    old = world.pod("c")
    world.remove_pod("c")
    keep_talking(world, "a", "b", number=2, lost=("c",), seconds=2)
    new = world.pod("c")
    assert new.name != old.name and new.attempt == 2
    assert world.members == ["a", "b"]
    world.pass_time(REJOIN_SECONDS)
    world.train("a", "b", number=2)
    world.say("c")
    world.settle()
    assert {m.pod_uid for g in world.plan.groups for m in g.members if m.node == "c"} == {new.uid}


def test_a_members_new_address_is_planned() -> None:
    world = trained("a", "b")
    worker = worker_name("b")
    stamped = world.reports[worker]
    moved = stamped.head.model_copy(update={"address": "10.9.9.9"})
    world.reports[worker] = type(stamped)(moved, stamped.training, stamped.training_received)
    revision = world.plan.revision
    world.settle()
    assert "10.9.9.9" in {m.address for g in world.plan.groups for m in g.members}
    assert world.plan.revision == revision + 1


def test_the_plan_says_when_its_generation_has_begun() -> None:
    world = World.of("a", "b")
    world.settle()
    for node in ("a", "b"):
        world.say(node)
    world.settle()
    world.train("a", "b", step=0)
    world.settle()
    assert not world.plan.begun
    world.train("a", "b", step=1)
    world.settle()
    assert world.plan.begun
    revision = world.plan.revision
    world.train("a", "b", step=2)
    world.settle()
    assert world.plan.revision == revision
    world.remove_pod("a", "b")
    world.settle()
    world.pass_time(60)
    for node in ("a", "b"):
        world.say(node)
    world.settle()
    assert (world.plan.generation, world.plan.begun) == (2, False)


def test_the_next_revision_is_above_all_that_was_ever_heard_of() -> None:
    world = trained("a")
    world.heard_revision = 57
    world.settle()
    assert world.plan.revision == 58
    world.stored = type(world.stored)()
    world.settle()
    assert world.plan.revision > 58
    assert world.members == ["a"]


def test_a_reporting_pod_that_is_no_more_is_told_so() -> None:
    world = trained("a", "b")
    zombie = world.pod("b").uid
    world.remove_pod("b")
    world.settle()
    assert zombie in world.over


@pytest.mark.parametrize(("holders", "durable"), [("a", None), ("ab", 8)])
def test_a_checkpoint_is_durable_when_two_nodes_hold_it(holders: str, durable: int | None) -> None:
    world = trained("a", "b", "c")
    for node in holders:
        kept = Checkpoint(lineage=1, step=8, digest="same", path="/x")
        world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=9)
    world.settle()
    assert world.group.durable_step == durable


def test_copies_with_different_contents_are_not_one_checkpoint() -> None:
    world = trained("a", "b")
    for node in "ab":
        kept = Checkpoint(lineage=1, step=8, digest=node, path="/x")
        world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=9)
    world.settle()
    assert world.group.durable_step is None


@pytest.mark.attack(17)
def test_no_pod_has_the_name_of_one_that_may_still_run_where_the_records_were_lost() -> None:
    world = trained("a", "b")
    names = {pod.node: pod.name for pod in world.pods.values()}
    away = world.nodes.pop("b")
    world.settle()
    world.pods.clear()
    world.reports.clear()
    world.stored = StoredPlan()
    world.settle()
    world.pass_time(100)
    world.settle()
    world.nodes["b"] = away
    world.settle()
    assert {pod.node for pod in world.pods.values()} == {"a", "b"}
    assert not {pod.name for pod in world.pods.values()} & set(names.values())


def test_slow_links_are_told_and_packed_for_and_what_is_asked_for_is_done() -> None:
    totals, packing = Totals(steps=10, phase_seconds={"backward": 1.0}), {"bf16": 0.0002, "int8": 0.0004}
    for payload, chosen in (("auto", Payload.INT8), ("fp32", Payload.FP32), ("lowRank", Payload.LOW_RANK)):
        world = World.of("a", "b", strategy={"payload": payload})
        world.settle()
        for node in "ab":
            world.say(node)
            world.rates[worker_name(node)] = NodeRate(10e6, world.now, worker_name("a"))
        world.settle()
        assert world.plan.groups[0].payload is (chosen if payload != "auto" else Payload.FP32)
        for node in "ab":
            world.say(node, totals=totals, reduce_bytes=4_000_000, codec_seconds=packing)
        world.settle()
        assert world.plan.groups[0].payload is chosen
        assert world.told.count("PayloadChosen") == (payload == "auto")
