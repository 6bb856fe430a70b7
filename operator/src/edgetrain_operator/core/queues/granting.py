"""What a job's Events say of the nodes that its queue gives to it and takes from it."""

from collections.abc import Iterator

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.queues.grant import Grant, named


def events(grant: Grant | None) -> tuple[Event, ...]:
    """None where the job is in no queue, or knows all of it."""
    return tuple(_events(grant)) if grant is not None else ()


def _events(grant: Grant) -> Iterator[Event]:
    if grant.gained:
        has = f"it has {len(grant.nodes)} of {grant.usable} nodes that it could use"
        yield Event("Normal", "NodesGranted", f"queue {grant.queue}: {named(grant.gained)}; {has}")
    by_reason: dict[str, list[str]] = {}
    for node, why in grant.lost.items():
        by_reason.setdefault(why, []).append(node)
    for why, nodes in by_reason.items():
        text = f"queue {grant.queue}: {named(nodes)}: {why}; it keeps {len(grant.nodes)}"
        yield Event("Normal", "NodesGivenBack", text)
