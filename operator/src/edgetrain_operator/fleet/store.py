"""Reports in memory: the newest part of each kind from each worker, checked for nonsense.

Memory only: after a restart every worker reports again within seconds, and what is missing until then
is unknown, not lost. Not locked; its owner does that.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from edgetrain_operator.core.report_view import agreed, borne_out
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.history import History
from edgetrain_protocol.names import MODEL_DIR
from edgetrain_protocol.plan import HIGHEST_REVISION
from edgetrain_protocol.report import NodePart, Report, TrainingPart

CLOCK_AHEAD_SECONDS = 600.0
MAX_WORKERS = 2_000
"""Of a job; twice what a job may have, for pods that replace one another."""
REVISIONS_AHEAD = 1000
"""No worker gets so far ahead of all others. More would be one's word alone, and numbers have an end."""


class InvalidReport(ValueError):
    """A report that cannot be true; the message names the field and the mend."""

    index = 0
    """Which of the reports that came together."""


@dataclass(frozen=True)
class Sender:
    """Who a request says it is from; its token says whether that is so."""

    worker: str
    pod_uid: str


@dataclass
class _Job:
    workers: dict[str, StampedReport] = field(default_factory=dict)
    last: dict[tuple[str, str, str], tuple[int, float]] = field(default_factory=dict)
    """(worker, pod, kind of part) -> sequence and time of its newest report."""
    furthest: dict[str, tuple[History, int]] = field(default_factory=dict)
    """By worker, the furthest that it reported of its group: one that starts anew says no more of it."""


class ReportStore:
    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}

    def take(self, job_uid: str, report: Report, now: float) -> bool:
        """Keep a report. True where a decision may rest on what changed.

        Raises:
            InvalidReport: it is not kept.
        """
        job = self._jobs.setdefault(job_uid, _Job())
        newer = [_in_sequence(job, report, kind, now) for kind in _kinds(report)]
        if not any(newer):
            return False
        before = job.workers.get(report.worker)
        after = _stamped(before, report, now)
        job.workers[report.worker] = after
        if part := report.training:
            come_to = (part.history, part.step)
            before_it = job.furthest.get(report.worker, come_to)
            moved = before_it[0].group != part.group
            job.furthest[report.worker] = come_to if moved else max(before_it, come_to)
        _bound(job)
        return _matters(before, after)

    def reports(self, job_uid: str) -> Mapping[str, StampedReport]:
        job = self._jobs.get(job_uid)
        return dict(job.workers) if job else {}

    def workers(self, job_uid: str) -> int:
        job = self._jobs.get(job_uid)
        return len(job.workers) if job else 0

    def jobs(self) -> tuple[str, ...]:
        return tuple(self._jobs)

    def forget(self, job_uid: str) -> None:
        self._jobs.pop(job_uid, None)

    def furthest(self, job_uid: str) -> dict[str, tuple[History, int]]:
        """By group, what two have come to, where there are two; one alone is believed in a little more."""
        job = self._jobs.get(job_uid)
        said: dict[str, list[tuple[History, int]]] = {}
        for history, step in job.furthest.values() if job else ():
            said.setdefault(history.group, []).append((history, step))
        return {group: _furthest(of_group) for group, of_group in said.items()}

    def forget_pod(self, pod_uid: str) -> None:
        """What a pod that is over said last must not pass for the state of its successor."""
        for job in self._jobs.values():
            for worker in [w for w, held in job.workers.items() if held.head.pod_uid == pod_uid]:
                del job.workers[worker]

    def highest_revision(self, job_uid: str) -> int:
        """The highest that a worker holds; of one that says far more than all others, as much as may be."""
        parts = (held.training for held in self.reports(job_uid).values())
        return agreed((part.revision_held for part in parts if part), REVISIONS_AHEAD)


def check(report: Report, sender: Sender, now: float, models: str = MODEL_DIR) -> None:
    """Refuse what cannot be true; `models`: where workers save theirs.

    Raises:
        InvalidReport: says which field and what to do.
    """
    for problem in _problems(report, sender, now, models):
        raise InvalidReport(problem)


def _problems(report: Report, sender: Sender, now: float, models: str) -> Iterator[str]:
    if (report.worker, report.pod_uid) != (sender.worker, sender.pod_uid):
        yield (
            f"worker, podUid: the report is from {report.worker}/{report.pod_uid}, but was sent by "
            f"{sender.worker}/{sender.pod_uid}: a pod reports for itself alone"
        )
    if (ahead := report.at - now) > CLOCK_AHEAD_SECONDS:
        yield f"at: {ahead:.0f} s in the future: set the clock of node {report.node}"
    if not _kinds(report):
        yield "training, measured: the report carries neither"
    if not report.address:
        yield "address: empty: the pod's IP belongs here"
    if report.training:
        yield from _training_problems(report.training, models)
    if report.measured:
        yield from _measured_problems(report.measured, report.worker, now)


def _training_problems(part: TrainingPart, models: str) -> Iterator[str]:
    if part.model and (PurePath(part.model).parent != PurePath(models) or ".." in part.model):
        yield f"training.model: {part.model!r:.100} is not in {models}, where models are saved"
    if part.loss is not None and not math.isfinite(part.loss):
        yield "training.loss: not a finite number"
    if not 0 <= part.revision_held <= HIGHEST_REVISION:
        yield f"training.revisionHeld: {part.revision_held} is outside 0 to {HIGHEST_REVISION}"


def _measured_problems(part: NodePart, worker: str, now: float) -> Iterator[str]:
    for index, link in enumerate(part.links):
        if link.peer == worker:
            yield f"measured.links[{index}].peer: a worker has no link to itself"
        if link.bits_per_second <= 0:
            yield f"measured.links[{index}].bitsPerSecond: a probe that measured nothing is not reported"
        if link.at > now + CLOCK_AHEAD_SECONDS:
            yield f"measured.links[{index}].at: {link.at - now:.0f} s in the future: set the node's clock"


def _kinds(report: Report) -> tuple[str, ...]:
    return tuple(kind for kind in ("training", "measured") if getattr(report, kind) is not None)


def _in_sequence(job: _Job, report: Report, kind: str, now: float) -> bool:
    """Whether this part is newer than what is held; a repeated one is not, and no error either.

    A reporter that starts again may count from a lower number: its later time tells it from an old
    report that was long on its way.
    """
    key = (report.worker, report.pod_uid, kind)
    sequence, at = job.last.get(key, (-1, float("-inf")))
    if (report.sequence, report.at) == (sequence, at):
        return False
    if report.sequence <= sequence and report.at <= at:
        raise InvalidReport(
            f"sequence: {report.sequence} after {sequence}, and no later in time: an old report, "
            "or a clock set back; the next number will do"
        )
    # One of the future, with the last of all numbers, would keep its worker unheard until then.
    job.last[key] = (report.sequence, min(report.at, now))
    return True


def _stamped(before: StampedReport | None, report: Report, now: float) -> StampedReport:
    if before is None or before.head.pod_uid != report.pod_uid:
        before = StampedReport(report)
    after = replace(before, head=report)
    if report.training:
        after = replace(after, training=report.training, training_received=now)
    if report.measured:
        after = replace(after, measured=report.measured, measured_received=now)
    return after


def _bound(job: _Job) -> None:
    if len(job.workers) > MAX_WORKERS:
        silent = min(job.workers, key=lambda worker: job.workers[worker].received)
        del job.workers[silent]
    _forget_oldest(job.last, 4 * MAX_WORKERS)
    _forget_oldest(job.furthest, MAX_WORKERS)


def _forget_oldest(kept: dict[Any, Any], most: int) -> None:
    if len(kept) > most:
        del kept[next(iter(kept))]


_DECISIVE = (
    *("state", "incarnation", "history", "revision_held", "formation", "lost", "joinable"),
    *("recoveries", "checkpoints", "model", "error", "error_reason", "counted", "holds", "waits_for"),
    "store_read",
)


def _matters(before: StampedReport | None, after: StampedReport) -> bool:
    """Progress alone decides nothing: a thousand workers' steps must not each cause a reconcile."""
    if before is None or (before.head.pod_uid, before.head.address) != (
        after.head.pod_uid,
        after.head.address,
    ):
        return True
    return _decisive(before.training) != _decisive(after.training)


def _decisive(part: TrainingPart | None) -> tuple[object, ...] | None:
    if part is None:
        return None
    holder = part.holder and (part.holder.name, part.holder.leads, part.holder.council, part.holder.trouble)
    troubled = part.rounds is not None and bool(part.rounds.trouble)
    return (*(getattr(part, name) for name in _DECISIVE), holder, troubled)


def _furthest(said: Sequence[tuple[History, int]]) -> tuple[History, int]:
    newest = borne_out(history for history, _ in said)
    return newest, agreed(step for history, step in said if history == newest)
