"""Events of a job in rounds: who is to hold the log, who leads it, and why that has changed."""

from collections.abc import Iterator, Sequence

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.resuming import outlives_pods
from edgetrain_operator.core.rounds.disks import disks_left, hidden, present_holder, worker_of
from edgetrain_operator.core.rounds.loss import node_of_holder
from edgetrain_operator.core.stored_rounds import RoundsRecord
from edgetrain_protocol.plan import Holder, Rounds


def rounds_events(scene: DecisionContext, known: RoundsRecord, after: Rounds | None) -> Iterator[Event]:
    """What is new with the next plan; `known`: what was heard of the log, up to now."""
    before = scene.plan.rounds if scene.plan else None
    if after is None:
        return
    old, new = set(before.holders if before else ()), set(after.holders)
    names_before, names = {holder.name for holder in old}, {holder.name for holder in new}
    for holder in sorted(old, key=lambda holder: holder.name):
        if holder.name not in names:
            text = (
                f"{scene.node_of(holder.worker)} holds the log of rounds no more: {_why_gone(scene, holder)}"
            )
            yield Event("Warning", "HolderLost", text)
    if came := [holder for holder in after.holders if holder.name not in names_before]:
        yield Event("Normal", "HoldersNamed", _named(scene, came, after))
    if before and after.founder != before.founder:
        nodes = [node_of_holder(scene, name) for name in (after.founder, before.founder)]
        text = f"{nodes[0]} begins the log of rounds: the disk of {nodes[1]} is gone, and it began none"
        yield Event("Normal", "FounderNamed", text)
    if known.lead != scene.stored.rounds.lead:
        yield Event("Normal", "LeadChanged", _lead(scene, known))


def _why_gone(scene: DecisionContext, holder: Holder) -> str:
    if holder.name in disks_left(scene) and hidden(scene, holder.worker):
        return "others cannot reach it, and those who hold the log now can be"
    if outlives_pods(scene.seen.job.spec):
        return _why_without_volume(scene, holder)
    pod = scene.pods.get(holder.pod_uid)
    if pod is None:
        return "its pod is gone"
    return f"its pod ended: {pod.phase}" if pod.ended else "silent beyond elastic.offlineGraceSeconds"


def _why_without_volume(scene: DecisionContext, holder: Holder) -> str:
    if present_holder(scene, holder.worker) not in ("", holder.name):
        return "its volume is another, or was emptied"
    silent = scene.given_up(holder.worker)
    return "silent beyond elastic.offlineGraceSeconds" if silent else "its node is of the job no more"


def _named(scene: DecisionContext, came: Sequence[Holder], after: Rounds) -> str:
    told = ", ".join(f"{scene.node_of(holder.worker)} ({_rate(scene, holder.worker)})" for holder in came)
    return f"to hold the log of rounds, {len(after.holders)} for {len(after.groups)} groups: {told}"


def _rate(scene: DecisionContext, worker: str) -> str:
    rate = scene.seen.rates.get(worker)
    return f"{rate.bits_per_second / 1e6:.1f} Mbit/s" if rate else "its link is not measured yet"


def _lead(scene: DecisionContext, known: RoundsRecord) -> str:
    text = f"{node_of_holder(scene, known.lead)} leads the log of rounds, term {known.term}"
    former = scene.stored.rounds.lead
    if not former:
        return text
    return f"{text}; before it {node_of_holder(scene, former)} did, {_state(scene, former)}"


def _state(scene: DecisionContext, name: str) -> str:
    if name not in disks_left(scene):
        return "whose disk is gone"
    heard = scene.reports.heard(worker_of(name))
    return "which is heard still" if heard else "which is not heard now"
