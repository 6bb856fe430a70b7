"""All edge nodes, as small projections: fed by the watch, swept by a periodic list.

Watch events are lost now and then, deletions above all; the sweep finds what was missed. Before a pod
is made or deleted, its node is read again.
"""

from collections.abc import Iterable, Mapping

from edgetrain_operator.core.model import NodeView
from edgetrain_operator.core.observe import Raw, node_view

Change = tuple[NodeView | None, NodeView | None]
"""Before, after."""


class NodeTable:
    def __init__(self) -> None:
        self._nodes: dict[str, NodeView] = {}

    @property
    def nodes(self) -> Mapping[str, NodeView]:
        """As of now; copied, so that a decision sees one moment."""
        return dict(self._nodes)

    def put(self, raw: Raw) -> Change | None:
        """Take over a node as it was read; None where nothing that matters changed."""
        after = node_view(raw)
        before = self._nodes.get(after.name)
        self._nodes[after.name] = after
        return None if before == after else (before, after)

    def drop(self, name: str) -> Change | None:
        before = self._nodes.pop(name, None)
        return None if before is None else (before, None)

    def sweep(self, raws: Iterable[Raw]) -> list[Change]:
        """Take over a full list; nodes that are not in it are gone."""
        listed = list(raws)
        changes = [self.put(raw) for raw in listed]
        gone = self._nodes.keys() - {raw["metadata"]["name"] for raw in listed}
        changes += [self.drop(name) for name in gone]
        return [change for change in changes if change is not None]
