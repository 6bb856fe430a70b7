"""Which workers of a job in rounds have come to its end, each by itself.

One comes to it when the log has nothing left to lease, and another's last updates may still be under way.
Its node gets no further pod meanwhile, and it goes on counting as one of the job's workers.
"""

from collections.abc import Mapping

from edgetrain_operator.core.grouping import in_rounds
from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.report_view import ReportView
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import TrainerState


def finished(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, str]:
    """Worker -> its pod, in which the program has ended well while the job was to go on."""
    plan, known = seen.stored.plan, seen.stored.rounds.finished
    if not in_rounds(seen.job.spec) or plan is None:
        return {}
    # Once its pod is deleted, as where the job is suspended, the log on its disk may be called for again.
    pods = {pod.uid for pod in seen.pods}
    there = {worker: record for worker, record in records.items() if record.pod_uid in pods}
    found = {w: uid for w, uid in known.items() if w in there and there[w].pod_uid == uid}
    if plan.phase is not Phase.TRAIN:
        return found
    reports = ReportView(seen, records)
    ended = {pod.uid for pod in seen.pods if pod.phase == "Succeeded" and not pod.deleting}
    for worker, record in there.items():
        part = reports.training(worker)
        if record.pod_uid in ended or (part is not None and part.state is TrainerState.FINISHED):
            found[worker] = record.pod_uid
    return found
