"""Who is in the plan, and what a new plan needs."""

import pytest

from edgetrain_operator.core.hearing import HEARD_SECONDS, TAKE_OVER_SECONDS
from edgetrain_operator.core.membership import LOST_SECONDS, REJOIN_SECONDS
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.planning import FIRST_PLAN_SECONDS
from edgetrain_protocol.plan import Origin, Phase
from edgetrain_protocol.report import Checkpoint, TrainerState
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
    assert (world.plan.lineage, world.plan.revision, world.plan.phase) == (1, 1, Phase.TRAIN)


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


def test_a_member_that_left_comes_back_when_heard_but_not_at_once() -> None:
    world = trained("a", "b", "c")
    keep_talking(world, "a", "b", number=2, lost=("c",), seconds=3)
    left = world.now
    world.say("c", TrainerState.PAUSED)
    world.step()
    assert world.members == ["a", "b"]
    while "c" not in world.members:
        assert world.now < left + REJOIN_SECONDS + 2
        world.pass_time(1.0)
        world.train("a", "b", number=2, lost=("c",))
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


def test_the_plan_says_when_its_lineage_has_begun() -> None:
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
    for node in ("a", "b"):
        world.remove_pod(node)
    world.settle()
    world.pass_time(60)
    for node in ("a", "b"):
        world.say(node)
    world.settle()
    assert (world.plan.lineage, world.plan.begun) == (2, False)


def test_the_next_revision_is_above_all_that_was_ever_heard_of() -> None:
    world = trained("a")
    world.heard_revision = 57
    world.settle()
    assert world.plan.revision == 58
    world.stored = type(world.stored)()
    world.settle()
    assert world.plan.revision == 59
    assert world.members == ["a"]


def test_a_reporting_pod_that_is_no_more_is_told_so() -> None:
    world = trained("a", "b")
    zombie = world.pod("b").uid
    world.remove_pod("b")
    world.settle()
    assert zombie in world.over


ON_CLAIMS = {"checkpoint": {"claim": {"size": "1Gi"}}}


class TestNewLineage:
    def test_no_new_lineage_while_a_majority_can_vote(self) -> None:
        world = trained("a", "b", "c")
        world.remove_pod("c")
        for _ in range(20):
            world.pass_time(1.0)
            world.pause("a", "b")
            world.step()
        assert world.plan.lineage == 1

    def test_from_the_survivor_with_the_newest_state_once_it_has_paused(self) -> None:
        world = trained("a", "b", "c", "d", "e")
        world.train("a", "b", "c", "d", "e", step=20)
        world.furthest = (1, 20)
        for node in "cde":
            world.remove_pod(node)
        world.settle()
        assert world.plan.lineage == 1, "the survivors have not said that they paused"
        world.pause("a", step=18)
        world.pause("b", step=19)
        world.settle()
        assert world.plan.lineage == 2
        origin = Origin(step=19, worker=worker_name("b"), incarnation=f"{world.pod('b').uid}-1")
        assert world.plan.origin == origin
        assert world.aggregator == "b"
        assert "NewLineage" in world.told

    def test_what_is_lost_is_counted_from_the_last_step_that_anybody_reported(self) -> None:
        world = trained("a", "b", storage=ON_CLAIMS)
        kept = Checkpoint(lineage=1, step=27, digest="d")
        world.train("a", "b", step=60)
        for node in "ab":
            world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=60)
        world.furthest = (1, 60)
        world.settle()
        world.restart("a", "b", checkpoints=(kept,))
        decision = world.step()
        (event,) = [e for e in decision.events if e.reason == "NewLineage"]
        assert "from the checkpoint of step 27, 33 known steps lost" in event.message

    def test_half_with_the_aggregator_goes_on_and_half_without_it_does_not(self) -> None:
        for gone, lineage in (("b", 1), ("a", 2)):
            world = trained("a", "b")
            other = "a" if gone == "b" else "b"
            world.remove_pod(gone)
            world.pass_time(1)
            world.pause(other)
            world.settle()
            assert world.plan.lineage == lineage, gone

    def test_from_the_durable_checkpoint_where_nobody_is_left(self) -> None:
        world = trained("a", "b", storage=ON_CLAIMS)
        kept = Checkpoint(lineage=1, step=8, digest="d")
        for node in "ab":
            world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=10)
        world.settle()
        for node in "ab":
            world.remove_pod(node)
        world.settle()
        assert world.plan.lineage == 1
        for node in "ab":
            world.say(node, checkpoints=(kept,))
        world.settle()
        assert (world.plan.lineage, world.plan.durable_step) == (2, 8)
        assert world.plan.origin == Origin(step=8, lineage=1, digest="d")
        assert world.members == ["a", "b"]

    def test_from_the_beginning_where_nothing_is_left_and_the_event_says_so(self) -> None:
        """Checkpoints on the pods' own disks are gone with them: nobody waits for one of those."""
        world = trained("a", "b")
        kept = Checkpoint(lineage=1, step=8, digest="d")
        for node in "ab":
            world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=10)
        world.settle()
        for node in "ab":
            world.remove_pod(node)
        world.settle()
        for node in "ab":
            world.say(node)
        world.settle()
        assert (world.plan.lineage, world.plan.origin, world.plan.durable_step) == (2, None, None)

    def test_a_durable_checkpoint_on_a_dark_node_is_waited_for(self) -> None:
        world = trained("a", "b", "c", storage=ON_CLAIMS)
        older, kept = (Checkpoint(lineage=1, step=step, digest="d") for step in (4, 8))
        world.train("a", "b", "c", step=10)
        world.say("a", TrainerState.TRAINING, checkpoints=(older,), step=10)
        for node in "bc":
            world.say(node, TrainerState.TRAINING, checkpoints=(older, kept), step=10)
        world.settle()
        for node in "abc":
            world.remove_pod(node)
        world.settle()
        world.pass_time(20)
        world.nodes |= {node: edge_node(node, ready=False) for node in "bc"}
        world.say("a", checkpoints=(older,))
        world.settle()
        assert world.plan.lineage == 1
        world.nodes["c"] = edge_node("c")
        world.settle()
        world.say("a", checkpoints=(older,))
        world.say("c", checkpoints=(older, kept))
        world.settle()
        assert world.plan.origin == Origin(step=8, lineage=1, digest="d")

    def test_a_checkpoint_of_a_dead_history_is_none(self) -> None:
        """The lineage left the old one at step 9: what that had saved of step 10 counts no more."""
        world = trained("a", "b", "c", storage=ON_CLAIMS)
        dead = Checkpoint(lineage=1, step=10, digest="d")
        world.say("c", TrainerState.TRAINING, checkpoints=(dead,), step=10)
        world.settle()
        for node in "bc":
            world.remove_pod(node)
        world.settle()
        world.pause("a", step=9)
        world.settle()
        assert (world.plan.lineage, world.plan.origin and world.plan.origin.step) == (2, 9)
        world.remove_pod("a")
        world.settle()
        for node in "abc":
            world.say(node, checkpoints=(dead,) if node == "c" else ())
        world.settle()
        assert (world.plan.lineage, world.plan.origin) == (3, None)

    def test_where_all_programs_ended_at_once_and_with_them_what_was_in_memory(self) -> None:
        world = trained("a", "b", storage=ON_CLAIMS)
        kept = Checkpoint(lineage=1, step=8, digest="d")
        for node in "ab":
            world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=10)
        world.settle()
        world.restart("a", state=TrainerState.STARTING)
        world.settle()
        assert world.plan.lineage == 1
        world.restart("a", "b", checkpoints=(kept,))
        world.settle()
        assert (world.plan.lineage, world.plan.durable_step) == (2, 8)
        assert world.plan.origin == Origin(step=8, lineage=1, digest="d")

    def test_a_lineage_is_raised_by_a_plan_that_says_train_and_by_no_other(self) -> None:
        """Pods that took the members of a plan that says wait for founders had different ones."""
        world = trained("a", "b", nodes={"min": 2})
        world.restart("a", "b")
        world.remove_pod("b")
        world.pass_time(60)
        world.restart("a")
        world.settle()
        assert (world.plan.lineage, world.phase) == (1, Phase.WAIT)
        world.say("b")
        world.restart("a")
        world.settle()
        assert (world.plan.lineage, world.phase, len(world.plan.founders)) == (2, Phase.TRAIN, 2)

    def test_a_lineage_that_lost_its_origin_before_its_first_step_is_followed_by_another(self) -> None:
        world = trained("a", "b", "c")
        for node in "bc":
            world.remove_pod(node)
        world.settle()
        world.pause("a", step=9)
        world.settle()
        assert world.plan.origin and world.plan.origin.worker == worker_name("a")
        for node in "bc":
            world.say(node)
        world.say("a", incarnation="another")
        renewed = world.settle().stored.plan
        assert renewed and (renewed.lineage, renewed.origin) == (3, None)

    def test_who_knows_less_is_not_asked_what_the_group_needs(self) -> None:
        """A member of an older formation, whose other members are gone, while the newer one is only dark."""
        world = trained("a", "b", "c", "d")
        old = world.quorum
        world.train("c", "d", number=2)
        world.settle()
        for node in "ab":
            world.remove_pod(node)
        world.pass_time(6)
        world.settle()
        world.quorum = old
        world.pause("a")
        world.settle()
        assert world.plan.lineage == 1

    def test_a_program_that_started_anew_leaves_the_count_and_the_others_go_on(self) -> None:
        world = trained("a", "b", "c")
        world.restart("b", "c")
        world.pause("a")
        world.settle()
        assert world.plan.lineage == 1

    def test_where_most_of_those_who_should_begin_are_gone_others_begin(self) -> None:
        world = World.of("a", "b", "c")
        world.settle()
        for node in "abc":
            world.say(node)
        world.settle()
        founders = world.plan.founders
        assert sorted(founders) == sorted(f"{worker_name(n)}/{world.pod(n).uid}" for n in "abc")
        assert founders[0].startswith(worker_name(world.aggregator))
        world.remove_pod("a")
        world.settle()
        world.say("a")
        world.settle()
        assert (world.plan.lineage, world.plan.founders) == (1, founders), "most of them are there"
        world.remove_pod("b")
        world.settle()
        assert (world.plan.lineage, world.plan.origin) == (2, None)
        assert set(world.plan.founders) == {f"{worker_name(n)}/{world.pod(n).uid}" for n in "ac"}

    def test_newcomers_alone_do_not_train_beside_state_that_others_hold(self) -> None:
        world = trained("a")
        world.nodes["b"] = edge_node("b")
        world.settle()
        world.train("a")
        world.say("b")
        world.settle()
        assert world.members == ["a", "b"] and world.aggregator == "a"
        world.spec = {"nodes": {"exclude": ["a"]}}
        world.say("b")
        world.step()
        assert world.members == ["b"]
        assert world.phase == Phase.WAIT


@pytest.mark.parametrize(("holders", "durable"), [("a", None), ("ab", 8)])
def test_a_checkpoint_is_durable_when_two_nodes_hold_it(holders: str, durable: int | None) -> None:
    world = trained("a", "b", "c")
    for node in holders:
        kept = Checkpoint(lineage=1, step=8, digest="same", path="/x")
        world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=9)
    world.settle()
    assert world.stored.durable_step == durable


def test_copies_with_different_contents_are_not_one_checkpoint() -> None:
    world = trained("a", "b")
    for node in "ab":
        kept = Checkpoint(lineage=1, step=8, digest=node, path="/x")
        world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=9)
    world.settle()
    assert world.stored.durable_step is None
