"""Where checkpoints outlive pods, so does the log of rounds beside them: a worker's next pod holds it on."""

from collections.abc import Mapping
from typing import Any

import pytest

from edgetrain_operator.core.naming import holder_name, worker_name
from edgetrain_protocol.plan import Holder, Phase
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.rounds_report import HolderPart
from edgetrain_protocol.status import ConditionType
from tests.support.rounds_world import begun, finish, holders, lose, name, rounds
from tests.support.world import World

CLAIM: dict[str, Any] = {"storage": {"checkpoint": {"claim": {"size": "1Gi"}}}}
GRACE = 600


class Disks:
    """A job whose nodes have disks of their own, each called as the first pod that wrote there."""

    def __init__(self, of: str = "abc", **spec: Any) -> None:
        self.world = begun(of, **(CLAIM | spec))
        self.of = {node: self.world.pod(node).uid for node in of}
        self.names = {node: name(self.world, node) for node in of}
        self.council = [self.names[node] for node in holders(self.world)]
        self.hold(of)

    def hold(self, nodes: str, committed: int = 1) -> None:
        """These train, and those of them who hold the log say so."""
        for node in nodes:
            part = HolderPart(name=self.names[node], council=self.council, committed=committed)
            held = part if self.names[node] in self.council else None
            self.world.say(node, TrainerState.TRAINING, log_disk=self.of[node], holder=held)
        self.world.settle()

    def come(self, nodes: str) -> None:
        """Their pods have started, and find their disks."""
        for node in nodes:
            self.world.say(node, log_disk=self.of[node])
        self.world.settle()

    def by_name(self) -> Mapping[str, Holder]:
        return {holder.name: holder for holder in rounds(self.world).holders}


def degraded(world: World) -> str:
    return world.condition(ConditionType.DEGRADED).reason


def test_the_next_pod_of_a_worker_is_the_same_holder_asked_where_it_is_now() -> None:
    disks = Disks()
    world, before = disks.world, disks.by_name()
    world.remove_pod("a")
    world.settle()
    assert disks.by_name() == before, "it may come back, and nobody is named in its place"
    disks.come("a")
    after = disks.by_name()
    assert list(after) == list(before) and after[disks.names["a"]].pod_uid == world.pod("a").uid
    assert not {"HolderLost", "HoldersNamed"} & set(world.told[world.told.index("HoldersNamed") + 1 :])


def test_a_disk_that_was_emptied_is_another_holder() -> None:
    disks = Disks()
    disks.world.remove_pod("a")
    disks.world.settle()
    disks.of["a"] = "new"
    disks.come("a")
    line = list(disks.by_name())
    assert disks.names["a"] not in line
    assert line[-1] == holder_name(worker_name("a"), "new", 1)


@pytest.mark.parametrize("nodes", ["a", "ab", "abc"])
def test_a_log_is_not_lost_with_pods_however_many(nodes: str) -> None:
    disks = Disks()
    disks.world.remove_pod(*nodes)
    disks.world.settle()
    assert degraded(disks.world) != "RoundsLost"
    disks.come(nodes)
    assert set(disks.by_name()) == set(disks.names.values())


def test_it_is_lost_with_the_nodes() -> None:
    disks = Disks()
    lose(disks.world, "a", "b")
    disks.hold("c")
    assert degraded(disks.world) == "RoundsLost"


def test_a_job_that_was_suspended_for_long_goes_on_with_its_log() -> None:
    disks = Disks()
    world, before = disks.world, disks.by_name()
    world.spec = world.spec | {"suspend": True}
    world.settle()
    assert "new job" not in world.condition(ConditionType.SUSPENDED).message
    world.pods.clear()
    world.reports.clear()
    for _ in range(3):
        world.pass_time(10 * GRACE)
        world.settle()
    world.since = world.now
    world.spec = world.spec | {"suspend": False}
    world.settle()
    assert degraded(world) != "RoundsLost"
    disks.come("abc")
    assert list(disks.by_name()) == list(before) and world.served("a").phase is Phase.TRAIN
    assert {h.pod_uid for h in rounds(world).holders} == {world.pod(n).uid for n in "abc"}


def test_who_ended_before_the_job_was_suspended_holds_the_log_again() -> None:
    disks = Disks()
    world = disks.world
    finish(world, "a", log_disk=disks.of["a"])
    world.settle()
    world.spec = world.spec | {"suspend": True}
    world.settle()
    world.pods.clear()
    world.settle()
    world.spec = world.spec | {"suspend": False}
    world.settle()
    assert {pod.node for pod in world.pods.values()} == set("abc")


def test_who_comes_back_with_the_log_after_others_were_named_is_named_again() -> None:
    """Those were never told of it: that takes most of who holds it."""
    disks = Disks("abcde")
    world = disks.world
    line = holders(world)
    dark, rest = line[1:], "".join(set("abcde") - set(line[1:]))
    for _ in range(3):
        disks.hold(rest)
        world.pass_time(GRACE / 2 + 1)
    disks.hold(rest)
    assert set(holders(world)) == set(rest)
    world.remove_pod(*dark)
    world.settle()
    disks.come(dark)
    assert set(line) < set(holders(world))


def test_without_a_volume_the_job_says_that_it_cannot_be_suspended() -> None:
    world = Disks(storage={}).world
    world.spec = world.spec | {"suspend": True}
    world.settle()
    assert "neither volume nor claim" in world.condition(ConditionType.SUSPENDED).message


def test_disks_of_holders_alone_are_remembered_from_the_decision_on_that_names_them() -> None:
    """An operator that is new hears of a disk only when its worker speaks again."""
    world = begun("abcde", **CLAIM)
    named = {holder.worker for holder in rounds(world).holders}
    assert set(world.stored.rounds.disks) == named and len(named) == 3
    before = rounds(world)
    world.reports.clear()
    world.since = world.now
    world.settle()
    assert rounds(world).holders == before.holders
