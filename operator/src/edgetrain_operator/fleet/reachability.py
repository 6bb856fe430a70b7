"""Whether others reach a node: what probes tell beside rates. One behind NAT measures, and is never measured
with."""

from collections.abc import Iterable, Mapping

from edgetrain_operator.fleet.rates import LinkRecord

MISSED_BY = 2
"""Others who tried in vain, or the only one."""
AWAY_SECONDS = 60.0
"""From the first who tried in vain to the last, for one that was reached before: a pod that is being
replaced, or a link that is cut for a moment, is missed by several at once, and is behind nothing."""

Records = Mapping[str, LinkRecord]


def were_reached(records: Records, peers: Iterable[str]) -> None:
    """Another has measured with all of them."""
    for peer in peers:
        if record := records.get(peer):
            record.missed.clear()
            record.reached = True


def was_missed(records: Records, peers: tuple[str, ...], by: str, now: float) -> None:
    """Another has tried to. Of several at the other end nobody knows which it was."""
    if len(peers) == 1 and (record := records.get(peers[0])):
        record.missed_since = record.missed_since if record.missed else now
        record.missed[by] = now


def reachability(records: Records) -> dict[str, bool]:
    """Of those with whom anybody has tried."""
    enough = min(MISSED_BY, len(records) - 1)
    hidden = {worker for worker, record in records.items() if enough > 0 and _is_hidden(record, enough)}
    return {w: w not in hidden for w, record in records.items() if w in hidden or record.reached}


def _is_hidden(record: LinkRecord, enough: int) -> bool:
    if len(record.missed) < enough:
        return False
    return not record.reached or max(record.missed.values()) - record.missed_since >= AWAY_SECONDS
