"""Several groups in one job: each has its own history, its aggregator and its losses."""

from dataclasses import replace
from typing import Any

import pytest

from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.grouping import NO_SITE, site_group
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.history import History
from edgetrain_protocol.names import EDGE_NODE_LABEL, SITE_LABEL
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import Checkpoint, TrainerState
from edgetrain_protocol.rounds_report import RoundsPart
from edgetrain_protocol.status import ConditionType
from tests.support.world import DEFAULTS, World, edge_node

NORTH, SOUTH = ("n1", "n2", "n3"), ("s1", "s2", "s3")
ON_CLAIMS = {"checkpoint": {"claim": {"size": "1Gi"}}}


def at_sites(sites: dict[str, str], grouping: str = "site", gate: bool = True, **spec: Any) -> World:
    """Nodes and their sites; an empty one is no label."""
    world = World.of(*sites, strategy={"grouping": grouping}, **spec)
    world.defaults = replace(DEFAULTS, feature_gates=FeatureGates(grouping=gate))
    for node, site in sites.items():
        move(world, node, site)
    return world


def move(world: World, node: str, site: str) -> None:
    labels = {EDGE_NODE_LABEL: ""} | ({SITE_LABEL: site} if site else {})
    world.nodes[node] = edge_node(node, labels=labels)


def begun(world: World) -> World:
    world.measure(**dict.fromkeys(world.nodes, 1e7))
    world.settle()
    for node in world.nodes:
        world.say(node)
    world.settle()
    return world


def two_sites(**spec: Any) -> World:
    """Both groups train."""
    world = begun(at_sites(dict.fromkeys(NORTH, "north") | dict.fromkeys(SOUTH, "south"), **spec))
    for nodes in (NORTH, SOUTH):
        world.train(*nodes)
    world.settle()
    return world


def members(world: World, node: str) -> list[str]:
    return sorted(member.node for group in world.served(node).groups for member in group.members)


def amend(world: World, node: str, **training: Any) -> None:
    """Change what this node's worker said last."""
    held = world.reports[worker_name(node)]
    assert held.training is not None
    told = held.training.model_copy(update=training)
    world.reports[worker_name(node)] = replace(held, training=told)


def condition(world: World, kind: ConditionType) -> tuple[str, str, str]:
    (found,) = [c for c in world.status.conditions if c.type == kind]
    return found.status, found.reason, found.message


def test_each_site_is_a_group_with_founders_and_an_aggregator_of_its_own() -> None:
    world = two_sites()
    for nodes, name in ((NORTH, "north"), (SOUTH, "south")):
        plan = world.served(nodes[0])
        assert plan.history == History(1, name, 1)
        assert members(world, nodes[0]) == sorted(nodes)
        assert {f.split("/")[0] for f in plan.founders} == {worker_name(node) for node in nodes}
        assert plan.groups[0].aggregator in {worker_name(node) for node in nodes}
    assert [(g.name, g.members, g.generation) for g in world.status.groups] == [
        ("north", 3, 1),
        ("south", 3, 1),
    ]
    assert "strategy.grouping is experimental" in condition(world, ConditionType.TRAINING)[2]


def test_a_group_that_lost_its_majority_begins_anew_and_the_other_notices_nothing() -> None:
    world = two_sites(storage=ON_CLAIMS)
    before = world.served("s1")
    kept = Checkpoint(**world.served("n1").history._asdict(), step=8, digest="d")
    world.train(*NORTH, step=12)
    for node in NORTH:
        world.say(node, TrainerState.TRAINING, step=12, checkpoints=(kept,))
    world.settle()
    world.train(*NORTH, step=12)
    world.restart(*NORTH, checkpoints=(kept,))
    decision = world.step()
    assert [e.message.partition(":")[0] for e in decision.events if e.reason == "NewGeneration"] == [
        "group north"
    ]
    world.settle()
    north, south = world.served("n1"), world.served("s1")
    assert (north.history, north.begun) == (History(1, "north", 2), False)
    assert north.origin and (north.origin.step, north.origin.history) == (8, History(1, "north", 1))
    changed = {"revision", "durable_step"}
    assert south.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert [(g.name, g.generation) for g in world.status.groups] == [("north", 2), ("south", 1)]


def test_a_site_that_goes_dark_changes_nothing_for_the_other() -> None:
    world = two_sites()
    before = world.served("s1")
    for _ in range(20):
        world.pass_time(2)
        world.train(*SOUTH, step=20)
        world.step()
    assert world.served("s1") == before
    assert members(world, "n1") == sorted(NORTH)
    assert [line.state for line in world.status.nodes if line.node in NORTH] == ["Paused"] * 3


def test_checkpoints_of_one_group_are_none_of_the_others() -> None:
    world = two_sites(storage=ON_CLAIMS)
    for nodes, step in ((NORTH, 8), (SOUTH, 20)):
        kept = Checkpoint(**world.served(nodes[0]).history._asdict(), step=step, digest="d")
        for node in nodes:
            world.say(node, TrainerState.TRAINING, step=step, checkpoints=(kept,))
    world.settle()
    assert {name: group.durable_step for name, group in world.stored.groups.items()} == {
        "north": 8,
        "south": 20,
    }


class TestMoved:
    def test_whose_site_changes_leaves_one_group_and_joins_the_other(self) -> None:
        world = two_sites()
        move(world, "n3", "south")
        world.say("n3", TrainerState.TRAINING, **History(1, "north", 1)._asdict())
        world.settle()
        assert members(world, "n1") == ["n1", "n2"]
        assert members(world, "n3") == ["n3", *SOUTH]
        assert world.served("n3").history == History(1, "south", 1)
        assert world.told.count("WorkerLeft") == 1

    def test_its_votes_count_in_the_old_group_until_it_holds_the_plan_of_the_new_one(self) -> None:
        """Until then it may still take part in a step there."""
        world = two_sites()
        world.train(*NORTH)
        for node in ("n2", "n3"):
            move(world, node, "south")
        world.pause(*NORTH)
        for node in ("n2", "n3"):
            world.say(node, TrainerState.PAUSED, **History(1, "north", 1)._asdict())
        world.settle()
        assert world.served("n1").generation == 1
        for node in ("n2", "n3"):
            world.say(node)
        world.pause("n1")
        world.settle()
        assert world.served("n1").history == History(1, "north", 2)
        assert members(world, "n1") == ["n1"]

    def test_a_node_that_is_not_there_stays_where_it_was(self) -> None:
        world = two_sites()
        del world.nodes["n3"]
        world.settle()
        assert world.stored.workers[worker_name("n3")].group == "north"


def test_groups_begin_only_where_the_job_has_workers_enough() -> None:
    world = begun(at_sites({"a": "north", "b": "south"}, nodes={"min": 3}))
    assert world.stored.plan is None or world.plan.phase is Phase.WAIT
    move(world, "c", "south")
    begun(world)
    assert world.served("a").phase is world.served("b").phase is Phase.TRAIN


def test_single_is_a_group_for_each_worker() -> None:
    world = begun(at_sites({"a": "", "b": ""}, grouping="single"))
    for node in "ab":
        assert world.served(node).history == History(1, worker_name(node), 1)
        assert members(world, node) == [node]


def test_nodes_without_a_site_are_one_group() -> None:
    world = begun(at_sites({"a": "", "b": "", "c": "north"}))
    assert world.served("a").group == world.served("b").group == NO_SITE
    assert members(world, "a") == ["a", "b"]


@pytest.mark.parametrize("site", ["North", "north_1", "n.1", "-", "_", "x" * 63, "Å"])
def test_any_label_makes_a_name(site: str) -> None:
    world = begun(at_sites({"a": site}))
    assert world.served("a").group == site_group(site)
    assert site_group(site) != site_group(site + "1")


def test_without_the_feature_gate_no_worker_is_made_and_the_status_says_why() -> None:
    world = at_sites({"a": "north"}, gate=False)
    world.settle()
    assert not world.pods
    status, _, message = condition(world, ConditionType.SCHEDULED)
    assert status == "False" and "featureGates.grouping" in message


def test_a_job_is_complete_when_all_its_groups_are() -> None:
    world = two_sites()
    for node in NORTH:
        world.say(node, TrainerState.FINISHED, step=50, model="/m")
    world.settle()
    assert condition(world, ConditionType.COMPLETE)[0] == "False"
    for node in SOUTH:
        world.say(node, TrainerState.FINISHED, step=40, model="/m")
    world.settle()
    assert condition(world, ConditionType.COMPLETE)[0] == "True"


def test_progress_is_that_of_the_group_furthest_from_its_end_and_speed_that_of_all() -> None:
    world = two_sites(data={"policy": "local"})
    for nodes, percent in ((NORTH, 40.0), (SOUTH, 20.0)):
        world.train(*nodes, step=int(percent))
        for node in nodes:
            own = RoundsPart(version=0, applied=0)
            amend(world, node, percent=percent, samples_per_second=100.0, rounds=own)
    world.settle()
    progress = world.status.progress
    assert (progress.step, progress.percent, progress.samples_per_second) == (20, 20.0, 200.0)


def test_generations_outlive_the_config_map() -> None:
    world = two_sites(storage=ON_CLAIMS)
    world.train(*NORTH, step=12)
    world.restart(*NORTH)
    world.settle()
    assert world.served("n1").generation == 2
    world.stored = type(world.stored)()
    for node in (*NORTH, *SOUTH):
        group = "north" if node in NORTH else "south"
        generation = 2 if node in NORTH else 1
        world.say(node, **History(1, group, generation)._asdict())
    world.settle()
    assert world.served("n1").history == History(1, "north", 2)
    assert world.served("s1").history == History(1, "south", 1)


def test_a_group_that_stands_still_has_no_speed_while_the_other_trains() -> None:
    world = two_sites()
    world.train(*NORTH, step=20)
    for node in NORTH:
        world.say(node, TrainerState.PAUSED, base=1, step=20, samples_per_second=90.0)
    for node in SOUTH:
        amend(world, node, samples_per_second=50.0)
    world.settle()
    speeds = {group.name: group.progress.samples_per_second for group in world.status.groups}
    assert speeds == {"north": 0.0, "south": 50.0}
