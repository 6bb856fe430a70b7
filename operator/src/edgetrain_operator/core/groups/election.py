"""Who aggregates: the best connected member, by measurement; slowly, so that noise moves nobody.

A change of aggregator costs a re-forming, so a challenger must be ahead by a margin, for a while, and
the incumbent must have been in office for some time, unless it was elected on the first measurements
that there were. A confirmed fourfold drop waits for nothing, nor does one that was lost from the office and
is back: it has shown for long that it is the better one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edgetrain_operator.core.stored import AggregatorTenure
from edgetrain_operator.fleet_state import NodeRate

HYSTERESIS = 1.5
"""How many times the incumbent's bandwidth a challenger must have. Two equal links that are measured 20 %
too high and 20 % too low are 1.5 apart: noise of that size moves nobody, however long it lasts."""
PROVISIONAL_HYSTERESIS = 1.2
"""The same for a while after the first election on measurements, some of which fall short while pods begin.
It moves the office once, and no more."""
PROVISIONAL_SECONDS = 120.0
TENURE_SECONDS = 60.0
AHEAD_SECONDS = 15.0
"""How long a challenger must have been ahead: two or three probes, so that one lucky one is not enough."""
DROP = 3.0
"""An incumbent at a third of the most that it has shown in office is replaced at once: a fourfold drop
measures as no more than that where each of the two measures is off by a seventh."""
KNOWN_BETTER = 1.25
"""An incumbent that shows so many times what it was elected on is remembered by that: at an election its
partners may have been its probes' limit."""
MEASURING_SECONDS = 45.0
"""From an election without measurements to one with those that are there."""


@dataclass(frozen=True)
class Ballot:
    """What an election is held on."""

    candidates: Collection[str]
    """Workers that may lead: members, and of a formed group those who are in it."""
    nodes: Mapping[str, str]
    """Worker -> its node's name."""
    rates: Mapping[str, NodeRate]
    incumbent: AggregatorTenure | None
    acting: str
    """The aggregator that the group's newest formation reports; empty where unknown."""
    now: float


@dataclass(frozen=True)
class Result:
    office: AggregatorTenure
    changed: bool
    """Whether somebody else leads now."""
    look_again_at: float | None = None


def elect(ballot: Ballot) -> Result:
    """Hold the election; the candidates must not be empty."""
    office = ballot.incumbent
    if office is None:
        return _fill(ballot, "the first election", provisional=True)
    if office.worker not in ballot.candidates:
        served = ballot.now >= office.since + TENURE_SECONDS
        predecessor = office.worker if served else office.predecessor
        return _fill(ballot, f"{office.node} left", predecessor=predecessor)
    if not office.measured:
        return _first_measured(ballot, office)
    return _contest(ballot, office)


def succession(
    aggregator: str, members: Collection[str], rates: Mapping[str, NodeRate], now_last: Collection[str]
) -> tuple[str, ...]:
    """The aggregator, then the others by bandwidth; those in `now_last` (newcomers) behind all others."""
    others = (w for w in members if w != aggregator)
    return (aggregator, *sorted(others, key=lambda w: (w in now_last, -_rate(rates, w), w)))


def steady_succession(
    before: Sequence[str],
    aggregator: str,
    members: Collection[str],
    rates: Mapping[str, NodeRate],
    now_last: Collection[str],
) -> tuple[str, ...]:
    """The line as it was while nobody came, went or took office: noise must not make new plans."""
    if set(before) == set(members) and before[0] == aggregator:
        return tuple(before)
    return succession(aggregator, members, rates, now_last)


def _fill(ballot: Ballot, why: str, *, provisional: bool = False, predecessor: str = "") -> Result:
    """The office is vacant. The member whom the group itself put in front keeps the office unless
    another is clearly better: a second change right after the first would cost a re-forming."""
    best = _best(ballot, ballot.candidates)
    acting = ballot.acting
    if acting in ballot.candidates and not _clearly_better(ballot, best, acting):
        best = acting
    office = _office(ballot, best, why, provisional=provisional)
    return Result(office.model_copy(update={"predecessor": predecessor}), changed=True)


def _first_measured(ballot: Ballot, office: AggregatorTenure) -> Result:
    """The first election on measurements: on those of all, or after a while on those of most.
    Without margin or tenure, for the incumbent was not chosen by bandwidth. It counts as none while it is
    not measured: whose slow link the group's own traffic fills may never be, for as long as it leads."""
    due = office.since + MEASURING_SECONDS
    known = [w for w in ballot.candidates if w in ballot.rates]
    complete = len(known) == len(ballot.candidates) and all(ballot.rates[w].confirmed for w in known)
    if not complete and (ballot.now < due or 2 * len(known) <= len(ballot.candidates)):
        return Result(office, changed=False, look_again_at=due if ballot.now < due else None)
    best = _best(ballot, ballot.candidates)
    if _rate(ballot.rates, best) <= _rate(ballot.rates, office.worker):
        why = "has the best measured link"
        stays = _office(ballot, office.worker, why, measured=True, provisional=True)
        return Result(stays.model_copy(update={"since": office.since}), changed=False)
    why = "the first election on measurements"
    return Result(_office(ballot, best, why, measured=True, provisional=True), changed=True)


def _contest(ballot: Ballot, office: AggregatorTenure) -> Result:
    if office.worker not in ballot.rates:
        return Result(
            office, changed=False
        )  # Not measured yet by an operator that is new: no reason to move.
    office = _known_better(office, ballot.rates[office.worker])
    back = office.predecessor
    if back in ballot.candidates and _clearly_better(ballot, back, office.worker):
        why = f"is back, with more than {HYSTERESIS:g} times the bandwidth of {office.node}"
        return Result(_office(ballot, back, why, measured=True), changed=True)
    best = _best(ballot, [w for w in ballot.candidates if w != office.worker] or [office.worker])
    new = office.provisional and ballot.now < office.since + PROVISIONAL_SECONDS
    margin = PROVISIONAL_HYSTERESIS if new else HYSTERESIS
    ahead = best != office.worker and _clearly_better(ballot, best, office.worker, margin)
    if ahead and _dropped(ballot, office):
        return Result(
            _office(ballot, best, f"{office.node} fell to a third of its bandwidth or less", measured=True),
            True,
        )
    if not ahead:
        cleared = office.model_copy(update={"challenger": "", "challenger_since": 0.0})
        return Result(cleared if office.challenger else office, changed=False)
    if office.challenger != best:
        office = office.model_copy(update={"challenger": best, "challenger_since": ballot.now})
    tenure = 0.0 if office.provisional else TENURE_SECONDS
    due = max(office.since + tenure, office.challenger_since + AHEAD_SECONDS)
    if ballot.now < due:
        return Result(office, changed=False, look_again_at=due)
    why = f"more than {margin:g} times the bandwidth of {office.node} for {AHEAD_SECONDS:g} s"
    return Result(_office(ballot, best, why, measured=True), changed=True)


def _dropped(ballot: Ballot, office: AggregatorTenure) -> bool:
    rate = ballot.rates.get(office.worker)
    return rate is not None and rate.confirmed and rate.bits_per_second * DROP <= office.bits_per_second


def _known_better(office: AggregatorTenure, rate: NodeRate) -> AggregatorTenure:
    better = rate.confirmed and rate.bits_per_second > KNOWN_BETTER * office.bits_per_second
    return office.model_copy(update={"bits_per_second": rate.bits_per_second}) if better else office


def _clearly_better(ballot: Ballot, challenger: str, incumbent: str, margin: float = HYSTERESIS) -> bool:
    theirs, ours = _rate(ballot.rates, challenger), _rate(ballot.rates, incumbent)
    # An alarm that no probe has confirmed yet is no measurement to act on.
    confirmed = challenger not in ballot.rates or ballot.rates[challenger].confirmed
    return confirmed and theirs > ours * margin


def _best(ballot: Ballot, among: Collection[str]) -> str:
    """By bandwidth; unmeasured or equal ones by name, so that all replicas and restarts agree."""
    return min(among, key=lambda w: (-_rate(ballot.rates, w), ballot.nodes.get(w, ""), w))


def _rate(rates: Mapping[str, NodeRate], worker: str) -> float:
    return rates[worker].bits_per_second if worker in rates else 0.0


def _office(
    ballot: Ballot, worker: str, why: str, *, measured: bool | None = None, provisional: bool = False
) -> AggregatorTenure:
    others = [w for w in ballot.candidates if w != worker]
    runner_up = _best(ballot, others) if others else ""
    complete = len(ballot.candidates) > 1 and all(w in ballot.rates for w in ballot.candidates)
    return AggregatorTenure(
        worker=worker,
        node=ballot.nodes.get(worker, worker),
        since=ballot.now,
        reason=why,
        measured=complete if measured is None else measured,
        provisional=provisional,
        bits_per_second=_rate(ballot.rates, worker),
        runner_up=runner_up,
        runner_up_bits_per_second=_rate(ballot.rates, runner_up),
    )
