"""When a round is closed, and with whose updates. Each policy is a predicate over arrivals; none waits
without an end.

What arrives later is in the next round: no policy loses an update. Times are seconds of the lead's own clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from edgetrain.rounds.entries import UpdateKey
from edgetrain_protocol.history import History

LOOK_SECONDS = 1.0
"""After so long a round in which there is nothing to wait for is looked at again."""


class Arrival(NamedTuple):
    key: UpdateKey
    steps: int
    """That it contains."""


class Expected(NamedTuple):
    """A group on the books."""

    history: History
    heard: bool
    until: float
    """When patience with it ends: its predicted arrival, and three times what that is usually off by."""
    behind: int
    """Versions between the newest one and the one that it works from."""


@dataclass(frozen=True)
class Round:
    opened: float
    groups: tuple[Expected, ...]
    arrived: tuple[Arrival, ...]
    """Whole, in order of arrival."""

    def awaited(self, now: float) -> tuple[Expected, ...]:
        """Groups that may still come, and are worth waiting for: a dark one delays no round but that in which
        it falls silent."""
        here = {arrival.key.history for arrival in self.arrived}
        return tuple(g for g in self.groups if g.history not in here and g.heard and now < g.until)


class Close(NamedTuple):
    keys: tuple[UpdateKey, ...]


class Wait(NamedTuple):
    until: float
    """When to look again, if nothing comes before."""


Policy = Callable[[Round, float], Close | Wait]


def sync(round_: Round, now: float) -> Close | Wait:
    """All groups that are heard, each as long as patience with it lasts."""
    return _close_unless_awaited(round_, now, round_.awaited(now))


def quorum_of_groups(groups: int) -> Policy:
    """So many groups, whichever come first; as `sync` where fewer are heard."""

    def close(round_: Round, now: float) -> Close | Wait:
        return _close_unless_awaited(
            round_, now, () if len(round_.arrived) >= groups else round_.awaited(now)
        )

    return close


def quorum_of_updates(steps: int) -> Policy:
    """So many steps of the optimiser, whoever took them: a fast group may bring most. After N-batch-sync,
    Dutta et al., "Slow and stale gradients can win the race" (2018)."""

    def close(round_: Round, now: float) -> Close | Wait:
        enough = sum(arrival.steps for arrival in round_.arrived) >= steps
        return _close_unless_awaited(round_, now, () if enough else round_.awaited(now))

    return close


def deadline(seconds: float) -> Policy:
    """All that has come so long after the round was opened; the first to come after that closes it."""

    def close(round_: Round, now: float) -> Close | Wait:
        due = round_.opened + seconds
        return Wait(due) if now < due else _close_unless_awaited(round_, now, ())

    return close


def bounded_staleness(versions: int) -> Policy:
    """Whoever comes, at once; but for a group that would then be further behind than so many versions."""

    def close(round_: Round, now: float) -> Close | Wait:
        late = tuple(group for group in round_.awaited(now) if group.behind >= versions)
        return _close_unless_awaited(round_, now, late)

    return close


def _close_unless_awaited(round_: Round, now: float, awaited: tuple[Expected, ...]) -> Close | Wait:
    if awaited:
        return Wait(min(group.until for group in awaited))
    if round_.arrived:
        return Close(tuple(arrival.key for arrival in round_.arrived))
    return Wait(now + LOOK_SECONDS)
