"""What holders and groups say of the log of rounds, and what of that is remembered.

A holder is believed in what it says of the log, which it could spoil as well; but only under the name of the
disk that its pod has, and where a plan has named it.
"""

from collections.abc import Mapping
from typing import Any

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.grouping import in_rounds
from edgetrain_operator.core.rounds.disks import disks, present_holder, worker_of
from edgetrain_operator.core.stored_rounds import RoundsRecord
from edgetrain_protocol.plan import Rounds
from edgetrain_protocol.rounds_report import HolderPart


def remembered(scene: DecisionContext) -> RoundsRecord:
    """The record, brought up to what is said now."""
    if not in_rounds(scene.seen.job.spec):
        return scene.stored.rounds
    before, said = scene.stored.rounds, holders_said(scene)
    newest = max(
        (part for part in said.values() if part.council), key=lambda p: (p.committed, p.term), default=None
    )
    council = tuple(sorted(newest.council)) if newest else ()
    after: dict[str, Any] = {"since": before.since or scene.now, **_lead(scene)}
    after |= {"disks": dict(disks(scene)), "begun": log_begun(scene)}
    after |= {"finished": dict(scene.finished), "troubled": _troubled(scene)}
    if newest and newest.committed >= before.committed and council != before.council:
        after |= {"council": council, "committed": newest.committed}
    return before.model_copy(update=after)


def record_kept(known: RoundsRecord, rounds: Rounds | None) -> RoundsRecord:
    """What is stored of it: of disks, those of whom the next plan names, or who may have the log."""
    names = {*known.council, *(holder.name for holder in (rounds.holders if rounds else ()))}
    workers = {worker_of(name) for name in names}
    return known.model_copy(update={"disks": {w: d for w, d in known.disks.items() if w in workers}})


def log_begun(scene: DecisionContext) -> bool:
    """Whether anybody has ever said that there is a log. status remembers it where the ConfigMap was lost."""
    told = scene.seen.job.status.progress.version > 0
    said = any(part.council or part.committed for part in holders_said(scene).values())
    return scene.stored.rounds.begun or said or (scene.plan is None and told)


def holders_said(scene: DecisionContext) -> Mapping[str, HolderPart]:
    """What each worker's holder said last, silent by now or not. By worker."""
    rounds = scene.plan.rounds if scene.plan else None
    named = {holder.name for holder in rounds.holders} | {*scene.stored.rounds.council} if rounds else None
    found = {}
    for worker in scene.records:
        training = scene.reports.training(worker)
        part = training.holder if training else None
        if part is None or part.name != present_holder(scene, worker):
            continue
        if named is None or part.name in named:
            found[worker] = part
    return found


def _lead(scene: DecisionContext) -> dict[str, Any]:
    """Of the highest term that there has been."""
    heard = ((worker, part) for worker, part in holders_said(scene).items() if scene.reports.heard(worker))
    lead = max((part for _, part in heard if part.leads), key=lambda part: part.term, default=None)
    ahead = lead is not None and lead.term >= scene.stored.rounds.term
    return {"lead": lead.name, "term": lead.term} if lead and ahead else {}


def _troubled(scene: DecisionContext) -> dict[str, float]:
    """Since when; of one that is not heard it stays as it was."""
    before = scene.stored.rounds.troubled
    found = {}
    for worker in scene.records:
        part = scene.reports.parts.get(worker)
        says = part.rounds is not None and bool(part.rounds.trouble) if part else worker in before
        if says:
            found[worker] = before.get(worker, scene.now)
    return found
