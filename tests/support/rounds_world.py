"""A job's world whose groups train one model in rounds; nodes are single letters."""

from dataclasses import replace
from typing import Any

from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.naming import holder_name, worker_name
from edgetrain_protocol.names import EDGE_NODE_LABEL, SITE_LABEL
from edgetrain_protocol.plan import Rounds
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.rounds_report import HolderPart, RoundsPart
from tests.support.world import DEFAULTS, World, edge_node


def in_rounds(of: str, *, grouping: str = "single", sites: str = "", **spec: Any) -> World:
    """A node for each letter, at the site of the same place in `sites`; nobody is ready yet."""
    usual = {
        "strategy": {"grouping": grouping, "localSteps": 8},
        "elastic": {"offlineGraceSeconds": 600},
    }
    world = World.of(*of, **(usual | spec))
    world.defaults = replace(DEFAULTS, feature_gates=FeatureGates(grouping=True))
    for node, site in zip(of, sites, strict=False):
        world.nodes[node] = edge_node(node, labels={EDGE_NODE_LABEL: "", SITE_LABEL: site})
    world.settle()
    return world


def begun(of: str, *, rates: dict[str, float] | None = None, **how: Any) -> World:
    """All train. Where nothing is said of their links, the first has the best, and so on."""
    world = in_rounds(of, **how)
    world.measure(**({node: 1e7 / (n + 1) for n, node in enumerate(of)} if rates is None else rates))
    for node in of:
        world.say(node)
    world.settle()
    for node in of:
        world.train(node)
    world.settle()
    return world


def rounds(world: World) -> Rounds:
    assert world.stored.plan is not None and world.stored.plan.rounds is not None
    return world.stored.plan.rounds


def name(world: World, node: str) -> str:
    return holder_name(worker_name(node), world.pod(node).uid, 1)


def holders(world: World) -> str:
    """Their nodes, in the plan's order."""
    by_worker = {worker_name(node): node for node in world.nodes}
    return "".join(by_worker[holder.worker] for holder in rounds(world).holders)


def hold(world: World, nodes: str, council: str = "", committed: int = 1, **said: Any) -> None:
    """These say of the log that these hold it."""
    of = tuple(_known(world, node) for node in council or nodes)
    for node in nodes:
        part = HolderPart(name=name(world, node), council=of, committed=committed, **said)
        world.say(node, TrainerState.TRAINING, holder=part)


def _known(world: World, node: str) -> str:
    """Its holder's name, or as it was when there was one."""
    if any(pod.node == node for pod in world.pods.values()):
        return name(world, node)
    return next(held for held in world.stored.rounds.council if held.startswith(worker_name(node)))


def lose(world: World, *nodes: str) -> None:
    """Their nodes and disks are gone for good."""
    for node in nodes:
        world.remove_pod(node)
        del world.nodes[node]


def heard(world: World, nodes: str) -> None:
    for node in nodes:
        world.say(node, TrainerState.TRAINING)


def merged(world: World, nodes: str, version: int, samples: int = 0, of: int = 1000, **said: Any) -> None:
    """These train on, and have read of this version."""
    part = RoundsPart(version=version, applied=version, merged=samples, total=of, groups=len(world.nodes))
    for node in nodes:
        world.say(node, TrainerState.TRAINING, rounds=part, **said)


def finish(world: World, *nodes: str, **said: Any) -> None:
    """Their programs have come to the end: all is merged."""
    part = RoundsPart(version=9, applied=9, merged=1000, total=1000)
    for node in nodes:
        world.say(node, TrainerState.FINISHED, step=50, rounds=part, **said)
