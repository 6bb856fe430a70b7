"""Whether the log of rounds is lost: too few of those who held it are left to merge anything again."""

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.council_lost import Standing, is_lost
from edgetrain_operator.core.rounds.disks import disks_left, worker_of
from edgetrain_operator.core.rounds.hearing import holders_said


def lost_with(scene: DecisionContext) -> list[str]:
    """Nodes whose disks it is lost with; none while it may go on, for all that is known.

    Nobody tells how far each log goes. Each is taken to be as long as the others, so that no vote is ruled
    out that may be given.
    """
    left, said = disks_left(scene), {part.name: part for part in holders_said(scene).values()}
    known = scene.stored.rounds.council
    councils = {name: frozenset(said[name].council if name in said else ()) or {*known} for name in known}
    gone = frozenset().union(*councils.values()) - left
    standings = [
        Standing(name, (0, 0), frozenset(council), may_lead=True, changes=name in said and said[name].leads)
        for name, council in councils.items()
        if name in left
    ]
    if not gone or not is_lost(standings, gone):
        return []
    return sorted({node_of_holder(scene, name) for name in gone})


def node_of_holder(scene: DecisionContext, name: str) -> str:
    """Its node's name, for people; its own where no record is left."""
    return scene.node_of(worker_of(name)) or name
