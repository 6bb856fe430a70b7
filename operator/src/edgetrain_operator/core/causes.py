"""What ends the program on several members of one formation has one cause, which is no node's.

A bad sample or a bug that all meet in one step counts once against the job's limit, and against no
node's; what fails on one member while the others go on counts as that node's. Failures before a worker
was in a formation tell nothing of each other, and each counts.
"""

from collections.abc import Mapping

from edgetrain_operator.core.job_plan import history_of
from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.stored import WorkerRecord


def attributed(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    """The records, with failures that are new in them put to their cause. By worker."""
    known = dict(records)
    for worker in sorted(known):
        before = seen.stored.workers.get(worker)
        if known[worker].judged_failures > (before.judged_failures if before else 0):
            _attribute(known, worker, _formation(seen, worker))
    return known


def _formation(seen: Observed, worker: str) -> str:
    """The one that this start of its program was in; empty where it was in none."""
    plan, stamped = seen.stored.plan, seen.reports.get(worker)
    of = plan.find(plan.home_of(worker)) if plan else None
    newest = seen.stored.group(of.name).formation if of else None
    if newest is None or plan is None or of is None or stamped is None or stamped.training is None:
        return ""
    within = newest.incarnations.get(worker) == stamped.training.incarnation
    return f"{'/'.join(map(str, history_of(plan, of)))}/{newest.number}" if within else ""


def _attribute(known: dict[str, WorkerRecord], worker: str, formation: str) -> None:
    record = known[worker]
    if formation and record.failed_in == formation:
        return  # A later start, of which nothing was heard: it was in none.
    peers = [w for w, r in known.items() if formation and w != worker and r.failed_in == formation]
    known[worker] = record.model_copy(update={"failed_in": formation, "common": record.common + bool(peers)})
    if len(peers) == 1:
        (first,) = peers
        stands = {"common": known[first].common + 1, "stands_for": known[first].stands_for + 1}
        known[first] = known[first].model_copy(update=stands)
