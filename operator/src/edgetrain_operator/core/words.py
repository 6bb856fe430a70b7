"""What pods and reports say once and never again, kept in the workers' records: last words above all.

A pod that goes takes its log along; a report is gone with the operator that heard it.
"""

import re
from collections.abc import Iterator, Mapping

from edgetrain_operator.core.ends import OUT_OF_MEMORY, OWN, POD
from edgetrain_operator.core.model import ContainerEnd, Observed, PodView
from edgetrain_operator.core.report_view import HEARD_SECONDS, READY
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.stored_signs import WORDS_MAX, LastEnd, Sighting
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.names import PROFILER_CONTAINER, TRAINER_CONTAINER
from edgetrain_protocol.report import TrainerState, TrainingPart

KEPT = 100
"""Workers whose last words are kept, the newest; of the others the reason alone. It is one document."""
ENDS_WELL = READY | {TrainerState.FINISHED}

INIT = "init"
"""Under which the last words of init containers are kept, whatever their names: one runs at a time."""

_PREFIXED = re.compile(r"([A-Z][A-Za-z]{1,60}): (.+)", re.DOTALL)
_NAMES_OF_EXCEPTIONS = ("Error", "Exception", "Warning", "Interrupt", "Exit")
"""What the end of a log may begin with, and is no reason of ours."""
_OF_KUBELET = {"StartError": "CommandNotFound", "ContainerCannotRun": "CommandNotFound"}


def remembered(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    """The records with what is said now and may be gone at the next look. By worker."""
    pods = {pod.uid: pod for pod in seen.pods}
    return _bounded(
        {
            worker: _noted(seen.now, record, pods.get(record.pod_uid), seen.reports.get(worker))
            for worker, record in records.items()
        }
    )


def clipped(text: str, most: int) -> str:
    """Its end, where a log and a traceback come to the point, and some of its beginning."""
    if len(text) <= most:
        return text
    head = most // 4
    return f"{text[:head]} ... {text[head + 5 - most :]}"


def words_of(end: ContainerEnd) -> tuple[str, str]:
    """The reason of an end, as in conditions, and the words to it."""
    if end.container == POD:
        return end.reason, end.message
    if end.container not in OWN and end.reason != OUT_OF_MEMORY:
        words = end.message or f"it ended with status {end.exit_code}, without a word"
        return "InitContainerFailed", f"{end.container}: {words}"
    said = _PREFIXED.fullmatch(end.message)
    if said and not said[1].endswith(_NAMES_OF_EXCEPTIONS):
        return said[1], said[2]
    if end.reason == OUT_OF_MEMORY:
        limit = f"its memory limit of {end.memory_limit}" if end.memory_limit else "its node's memory"
        return "OutOfMemory", f"{end.container} used up {limit}"
    otherwise = "ProfilerFailed" if end.container == PROFILER_CONTAINER else "ProgramFailed"
    words = end.message or f"{end.container} ended with status {end.exit_code}, without a word"
    return _OF_KUBELET.get(end.reason, otherwise), words


def _noted(
    now: float, record: WorkerRecord, pod: PodView | None, stamped: StampedReport | None
) -> WorkerRecord:
    if not record.pod_uid:
        return record
    stamped = stamped if stamped and stamped.head.pod_uid == record.pod_uid else None
    said = stamped.training if stamped else None
    ends = dict(record.last_ends)
    for container, end in _ends(now, record.pod_uid, pod, said):
        ends[container] = _merged(ends.get(container), end)
    ends = {container: _settled(container, end, stamped) for container, end in ends.items()}
    return record.model_copy(update={"sighting": _sighted(now, record, pod, said), "last_ends": ends})


def _ends(
    now: float, pod_uid: str, pod: PodView | None, said: TrainingPart | None
) -> Iterator[tuple[str, LastEnd]]:
    """The kubelet's word before the supervisor's, which is the same in other words, and first."""
    incarnation, kubelets = said.incarnation if said else "", pod.ends if pod else ()
    for end in kubelets:
        reason, words = words_of(end)
        yield (
            end.container if end.container in (*OWN, POD) else INIT,
            LastEnd(
                reason=reason,
                words=clipped(words, WORDS_MAX),
                at=now,
                pod_uid=pod_uid,
                ordinal=end.ordinal,
                incarnation=incarnation,
            ),
        )
    told = any(end.container == TRAINER_CONTAINER for end in kubelets)
    if said and said.state is TrainerState.FAILED and not told:
        yield (
            TRAINER_CONTAINER,
            LastEnd(
                reason=said.error_reason or "ProgramFailed",
                words=clipped((said.error or "the program ended with an error").strip(), WORDS_MAX),
                at=now,
                pod_uid=pod_uid,
                incarnation=incarnation,
            ),
        )


def _merged(old: LastEnd | None, new: LastEnd) -> LastEnd:
    """The end that is known already, with what is said of it now; or another one."""
    if old is None or old.pod_uid != new.pod_uid:
        return new
    told_by_both = old.ordinal < 0 <= new.ordinal
    same = old.ordinal == new.ordinal and (new.ordinal >= 0 or old.incarnation == new.incarnation)
    if not (same or told_by_both):
        return new
    return old.model_copy(update={"reason": new.reason, "words": new.words, "ordinal": new.ordinal})


def _settled(container: str, end: LastEnd, stamped: StampedReport | None) -> LastEnd:
    if end.settled or stamped is None:
        return end
    if container == PROFILER_CONTAINER:
        well = (stamped.measured_received or 0.0) > end.at
    else:
        said = stamped.training
        # A kubelet may tell of an end when the next start is heard already; no report outlives its program.
        later = (stamped.training_received or 0.0) > end.at + HEARD_SECONDS
        another = said is not None and said.incarnation != end.incarnation
        well = said is not None and said.state in ENDS_WELL and (another or later)
    return end.model_copy(update={"settled": True}) if well else end


def _sighted(now: float, record: WorkerRecord, pod: PodView | None, said: TrainingPart | None) -> Sighting:
    old = record.sighted
    heard, phase = old.heard or said is not None, pod.phase if pod else ""
    return Sighting(
        pod_uid=record.pod_uid,
        running_since=old.running_since or (now if phase == "Running" and not heard else 0.0),
        heard=heard,
        ended_well=old.ended_well
        or phase == "Succeeded"
        or bool(said and said.state is TrainerState.FINISHED),
    )


def _bounded(records: dict[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    spoken = sorted((max(e.at for e in r.last_ends.values()), w) for w, r in records.items() if r.last_ends)
    silenced = {worker for _, worker in spoken[:-KEPT]}
    return {w: _wordless(record) if w in silenced else record for w, record in records.items()}


def _wordless(record: WorkerRecord) -> WorkerRecord:
    ends = {container: end.model_copy(update={"words": ""}) for container, end in record.last_ends.items()}
    return record.model_copy(update={"last_ends": ends})
