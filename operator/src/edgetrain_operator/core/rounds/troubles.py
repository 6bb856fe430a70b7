"""What is wrong with a job's rounds, in words that name the thing and the mend."""

from collections.abc import Iterator

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.grouping import in_rounds
from edgetrain_operator.core.model import Trouble
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.rounds.disks import hidden
from edgetrain_operator.core.rounds.hearing import holders_said
from edgetrain_operator.core.rounds.loss import lost_with
from edgetrain_operator.core.words import clipped

ROUNDS_LOST, NOT_MERGED, LOG_NOT_WRITTEN = "RoundsLost", "NotMerged", "LogNotWritten"
NOBODY_REACHABLE = "NoReachableAggregator"
TROUBLE_SECONDS = 30.0
"""Of a group that finds nobody who serves it: a log that has lost its lead has another in a few."""
NODES_MAX = 20
"""That are named in one message."""
TEXT_MAX = 600
"""Of what workers wrote, in a message of ours."""


def rounds_troubles(scene: DecisionContext) -> Iterator[Trouble]:
    """The worst first."""
    if not in_rounds(scene.seen.job.spec):
        return
    if gone := lost_with(scene):
        yield Trouble(ROUNDS_LOST, _lost(gone))
        return
    if nodes := _hidden(scene):
        yield Trouble(NOBODY_REACHABLE, _nobody_reachable(nodes))
    if text := _not_merged(scene):
        yield Trouble(NOT_MERGED, text)
    for worker, part in sorted(holders_said(scene).items()):
        if part.trouble and scene.reports.heard(worker):
            node = scene.node_of(worker)
            text = f"it cannot write the log of rounds: {clipped(part.trouble, TEXT_MAX)}"
            yield Trouble(LOG_NOT_WRITTEN, f"{node}: {text}", node)


def _hidden(scene: DecisionContext) -> list[str]:
    """Nodes of those who are named to hold the log, where none of them can be reached by others."""
    holders = scene.plan.rounds.holders if scene.plan and scene.plan.rounds else ()
    found = [scene.node_of(h.worker) for h in holders if hidden(scene, h.worker)]
    return sorted(found) if len(found) == len(holders) else []


def _nobody_reachable(nodes: list[str]) -> str:
    return (
        f"others cannot reach {', '.join(nodes)}, nor any worker that could hold the log of rounds in its "
        "place: their work is not merged. Let the pods of one node be dialled by all, such as by "
        "template.spec.hostNetwork on a node with an address of its own"
    )


def _lost(gone: list[str]) -> str:
    return (
        f"the log of rounds is lost with the disks of {', '.join(gone[:NODES_MAX])}: what is left is no "
        "majority of who held it. Workers train on the data that they still hold, then stand still, and "
        "nothing is merged any more: make a new job; a job in rounds cannot go on from checkpoints yet"
    )


def _not_merged(scene: DecisionContext) -> str:
    since = {w: at for w, at in scene.stored.rounds.troubled.items() if w in scene.reports.parts}
    late = sorted((at, scene.node_of(w), w) for w, at in since.items() if scene.now - at >= TROUBLE_SECONDS)
    if not late:
        return ""
    first, _, worker = late[0]
    part = scene.reports.parts[worker].rounds
    why = clipped(scene.with_node_names(part.trouble), TEXT_MAX) if part else ""
    nodes = ", ".join(sorted(node for _, node, _ in late)[:NODES_MAX])
    return f"since {time_text(first)} no work is merged of {nodes}: {why}"
