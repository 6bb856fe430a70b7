"""When history starts anew, from what, and what of it is lost."""

from typing import Any

from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.history import ALL
from edgetrain_protocol.plan import Origin, Phase
from edgetrain_protocol.report import Checkpoint, TrainerState
from tests.support.histories import FIRST
from tests.support.world import World, edge_node, trained

ON_CLAIMS = {"checkpoint": {"claim": {"size": "1Gi"}}}


def with_newest_checkpoint_on_dark_nodes() -> tuple[World, Checkpoint, Checkpoint]:
    """All programs are gone; a is back with the older of two checkpoints; b and c hold both, and are dark."""
    world = trained("a", "b", "c", storage=ON_CLAIMS)
    older, kept = (Checkpoint(lineage=1, step=step, digest="d") for step in (4, 8))
    world.train("a", "b", "c", step=10)
    world.say("a", TrainerState.TRAINING, checkpoints=(older,), step=10)
    for node in "bc":
        world.say(node, TrainerState.TRAINING, checkpoints=(older, kept), step=10)
    world.settle()
    world.remove_pod("a", "b", "c")
    world.settle()
    world.pass_time(20)
    world.nodes |= {node: edge_node(node, ready=False) for node in "bc"}
    world.say("a", checkpoints=(older,))
    world.settle()
    return world, older, kept


def with_a_checkpoint(**spec: Any) -> tuple[World, Checkpoint]:
    """Two train, at step 10, and both have the checkpoint of step 8."""
    world, kept = trained("a", "b", **spec), Checkpoint(lineage=1, step=8, digest="d")
    for node in "ab":
        world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=10)
    world.settle()
    return world, kept


class TestNewGeneration:
    def test_no_new_generation_while_a_majority_can_vote(self) -> None:
        world = trained("a", "b", "c")
        world.remove_pod("c")
        for _ in range(20):
            world.pass_time(1.0)
            world.pause("a", "b")
            world.step()
        assert world.plan.generation == 1

    def test_from_the_survivor_with_the_newest_state_once_it_has_paused(self) -> None:
        world = trained("a", "b", "c", "d", "e")
        world.train("a", "b", "c", "d", "e", step=20)
        world.furthest = {ALL: (FIRST, 20)}
        world.remove_pod("c", "d", "e")
        world.settle()
        assert world.plan.generation == 1, "the survivors have not said that they paused"
        world.pause("a", step=18)
        world.pause("b", step=19)
        world.settle()
        assert world.plan.generation == 2
        origin = Origin(step=19, worker=worker_name("b"), incarnation=f"{world.pod('b').uid}-1")
        assert world.plan.origin == origin
        assert world.aggregator == "b"
        assert "NewGeneration" in world.told

    def test_what_is_lost_is_counted_from_the_last_step_that_anybody_reported(self) -> None:
        world = trained("a", "b", storage=ON_CLAIMS)
        kept = Checkpoint(lineage=1, step=27, digest="d")
        world.train("a", "b", step=60)
        for node in "ab":
            world.say(node, TrainerState.TRAINING, checkpoints=(kept,), step=60)
        world.furthest = {ALL: (FIRST, 60)}
        world.settle()
        world.restart("a", "b", checkpoints=(kept,))
        decision = world.step()
        (event,) = [e for e in decision.events if e.reason == "NewGeneration"]
        assert "from the checkpoint of step 27, 33 known steps lost" in event.message

    def test_half_with_the_aggregator_goes_on_and_half_without_it_does_not(self) -> None:
        for gone, generation in (("b", 1), ("a", 2)):
            world = trained("a", "b")
            other = "a" if gone == "b" else "b"
            world.remove_pod(gone)
            world.pass_time(1)
            world.pause(other)
            world.settle()
            assert world.plan.generation == generation, gone

    def test_from_the_durable_checkpoint_where_nobody_is_left(self) -> None:
        world, kept = with_a_checkpoint(storage=ON_CLAIMS)
        world.remove_pod("a", "b")
        world.settle()
        assert world.plan.generation == 1
        for node in "ab":
            world.say(node, checkpoints=(kept,))
        world.settle()
        assert (world.plan.generation, world.plan.durable_step) == (2, 8)
        assert world.plan.origin == Origin(step=8, lineage=1, digest="d")
        assert world.members == ["a", "b"]

    def test_from_the_remote_store_where_no_node_has_any_and_not_before_one_has_looked(self) -> None:
        remote = {"checkpoint": {"uri": "s3://bucket/digits"}}
        world, _ = with_a_checkpoint(storage=remote)
        world.remove_pod("a", "b")
        world.settle()
        for node in "ab":
            world.say(node)
        world.settle()
        assert world.plan.generation == 1, "the store may hold what nobody has told of"
        told = world.condition("Training")
        assert told.reason == "WaitingForCheckpoint"
        assert "no worker has seen yet which checkpoints s3://bucket/digits holds" in told.message
        pushed = Checkpoint(lineage=1, step=6, digest="d")
        world.say("a", store_read=True, checkpoints=(pushed,))
        world.settle()
        assert world.plan.generation == 2
        assert world.plan.origin == Origin(step=6, lineage=1, digest="d")

    def test_from_the_beginning_where_the_store_has_nothing_either(self) -> None:
        world, _ = with_a_checkpoint(storage={"checkpoint": {"uri": "s3://bucket/digits"}})
        world.remove_pod("a", "b")
        world.settle()
        world.say("a", store_read=True)
        world.say("b")
        world.settle()
        assert (world.plan.generation, world.plan.origin) == (2, None)

    def test_from_the_beginning_where_nothing_is_left_and_the_event_says_so(self) -> None:
        """Checkpoints on the pods' own disks are gone with them: nobody waits for one of those."""
        world, _ = with_a_checkpoint()
        world.remove_pod("a", "b")
        world.settle()
        for node in "ab":
            world.say(node)
        world.settle()
        assert (world.plan.generation, world.plan.origin, world.plan.durable_step) == (2, None, None)

    def test_a_durable_checkpoint_on_a_dark_node_is_waited_for(self) -> None:
        world, older, kept = with_newest_checkpoint_on_dark_nodes()
        assert world.plan.generation == 1
        told = world.condition("Training")
        assert told.reason == "WaitingForCheckpoint" and "of step 8, is on b, c" in told.message
        world.nodes["c"] = edge_node("c")
        world.settle()
        world.say("a", checkpoints=(older,))
        world.say("c", checkpoints=(older, kept))
        world.step()
        assert world.plan.origin == Origin(step=8, lineage=1, digest="d")
        assert world.condition("Training").reason != "WaitingForCheckpoint", "with the decision that ends it"

    def test_unless_its_nodes_are_excluded(self) -> None:
        world, _, _ = with_newest_checkpoint_on_dark_nodes()
        world.spec = {**world.spec, "nodes": {"exclude": ["b", "c"]}}
        world.settle()
        assert world.plan.origin == Origin(step=4, lineage=1, digest="d")

    def test_a_checkpoint_of_a_dead_history_is_none(self) -> None:
        """The generation left the old one at step 9: what that had saved of step 10 counts no more."""
        world = trained("a", "b", "c", storage=ON_CLAIMS)
        dead = Checkpoint(lineage=1, step=10, digest="d")
        world.say("c", TrainerState.TRAINING, checkpoints=(dead,), step=10)
        world.settle()
        world.remove_pod("b", "c")
        world.settle()
        world.pause("a", step=9)
        world.settle()
        assert (world.plan.generation, world.plan.origin and world.plan.origin.step) == (2, 9)
        world.remove_pod("a")
        world.settle()
        for node in "abc":
            world.say(node, checkpoints=(dead,) if node == "c" else ())
        world.settle()
        assert (world.plan.generation, world.plan.origin) == (3, None)

    def test_where_all_programs_ended_at_once_and_with_them_what_was_in_memory(self) -> None:
        world, kept = with_a_checkpoint(storage=ON_CLAIMS)
        world.restart("a", state=TrainerState.STARTING)
        world.settle()
        assert world.plan.generation == 1
        world.restart("a", "b", checkpoints=(kept,))
        world.settle()
        assert (world.plan.generation, world.plan.durable_step) == (2, 8)
        assert world.plan.origin == Origin(step=8, lineage=1, digest="d")

    def test_a_generation_is_raised_by_a_plan_that_says_train_and_by_no_other(self) -> None:
        """Pods that took the members of a plan that says wait for founders had different ones."""
        world = trained("a", "b", nodes={"min": 2})
        world.restart("a", "b")
        world.remove_pod("b")
        world.pass_time(60)
        world.restart("a")
        world.settle()
        assert (world.plan.generation, world.phase) == (1, Phase.WAIT)
        world.say("b")
        world.restart("a")
        world.settle()
        assert (world.plan.generation, world.phase, len(world.plan.founders)) == (2, Phase.TRAIN, 2)

    def test_a_generation_that_lost_its_origin_before_its_first_step_is_followed_by_another(self) -> None:
        world = trained("a", "b", "c")
        world.remove_pod("b", "c")
        world.settle()
        world.pause("a", step=9)
        world.settle()
        assert world.plan.origin and world.plan.origin.worker == worker_name("a")
        for node in "bc":
            world.say(node)
        world.say("a", incarnation="another")
        renewed = world.settle() and world.plan
        assert renewed and (renewed.generation, renewed.origin) == (3, None)

    def test_an_older_formation_that_still_counts_may_be_the_one_that_is_lost(self) -> None:
        """The newest, which never committed, could vote: the one that did cannot any more."""
        world = trained("a", "b", "c", "d")
        world.train("a", "b", "c", "d", number=4, aggregator="b")
        committed = world.quorum
        world.train("a", "c", "d", number=5, step=0)
        attempt = world.quorum
        assert committed and attempt
        world.remove_pod("a", "b")
        world.settle()
        for counted, generation in (((attempt,), 1), ((committed, attempt), 2)):
            for node in "cd":
                world.say(node, TrainerState.PAUSED, base=4, step=10, holds=True, counted=counted)
            world.settle()
            assert world.plan.generation == generation

    def test_who_knows_less_is_not_asked_what_the_group_needs(self) -> None:
        """A member of an older formation, whose other members are gone, while the newer one is only dark."""
        world = trained("a", "b", "c", "d")
        old = world.quorum
        world.train("c", "d", number=2)
        world.settle()
        world.remove_pod("a", "b")
        world.pass_time(6)
        world.settle()
        world.quorum = old
        world.pause("a")
        world.settle()
        assert world.plan.generation == 1

    def test_a_program_that_started_anew_leaves_the_count_and_the_others_go_on(self) -> None:
        world = trained("a", "b", "c")
        world.restart("b", "c")
        world.pause("a")
        world.settle()
        assert world.plan.generation == 1

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
        assert (world.plan.generation, world.plan.founders) == (1, founders), "most of them are there"
        world.remove_pod("b")
        world.settle()
        assert (world.plan.generation, world.plan.origin) == (2, None)
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
