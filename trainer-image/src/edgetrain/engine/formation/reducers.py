"""The ways in which a formation can sum. A new one is a file and a line here."""

from edgetrain.engine.formation.gloo import ProcessGroup
from edgetrain.engine.formation.reducer import Reducer
from edgetrain.engine.formation.ring import Ring
from edgetrain.engine.formation.star import Star
from edgetrain_protocol.strategy import Reduction

REDUCERS: dict[Reduction, type[Reducer]] = {
    Reduction.RING: Ring,
    Reduction.STAR: Star,
    # No plan says so, since the operator chooses; should one do, nobody is to stand still for it.
    Reduction.AUTO: Ring,
}


def reducer_of(reduction: Reduction, group: ProcessGroup, hub: int) -> Reducer:
    """`hub`: the aggregator's rank."""
    return REDUCERS[reduction](group, hub)
