"""When a member of the council calls a term, while it hears no lead. Pure."""

from collections.abc import Collection, Sequence

from edgetrain_protocol.quorum import majority

CALL_SECONDS = 1.0
"""Each in the line gives those before it so long, and its own call as well before it calls again."""


def calls_at(
    name: str, line: Sequence[str], heard: Collection[str], council: int, silent_since: float
) -> float | None:
    """When `name` calls, in the seconds that `silent_since` is in: since then it has heard no lead, or its
    last call came to nothing. None while it hears too few of the `council` members: it would only close a
    term to those who can win one.

    `line` are those who may lead, best first; `heard` the others that it hears, witness included.
    """
    if not majority(len(heard) + 1, council):
        return None
    before = [other for other in line[: line.index(name)] if other in heard]
    return silent_since + CALL_SECONDS * (1 + len(before))
