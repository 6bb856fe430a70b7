"""What each end of a worker means to the job, by runPolicy.failureRules.

An end is judged once, when it is first seen, by what is known of it then: a later change of the rules
is for later ends. Judged are failures of the program, and pods that were taken away from outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgetrain_operator.core.ends import OUT_OF_MEMORY, POD
from edgetrain_operator.core.model import ContainerEnd, Observed, PodView
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.words import clipped, words_of
from edgetrain_protocol.names import TRAINER_CONTAINER
from edgetrain_protocol.report import TrainerState, TrainingPart
from edgetrain_protocol.run_policy import ExitCodeOperator, FailureAction, FailureRule, OnExitCodes

FAILURE_RULE = "FailureRule"
EXIT_CODE = 1
"""Of a program of which none is told: what Python ends with after an exception, and a trainer of the version
before whatever its program ended with."""
TEXT_MAX = 1000
ANY_ERROR = "Error"
"""The kubelet's word for any end with an error: a supervisor, which mostly is first, has none for that."""
SAME = frozenset({OUT_OF_MEMORY, "OutOfMemory"})
"""The kubelet's word, and that of a supervisor which has outlived its program."""


@dataclass(frozen=True)
class End:
    """What is known of one end."""

    reasons: frozenset[str] = frozenset()
    exit_code: int | None = None
    """None: it was not the program that ended."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Of the pod: type -> status."""
    words: str = ""


@dataclass(frozen=True)
class Ruling:
    """By the first rule that matches."""

    number: int
    """Of the rule, from 0."""
    action: FailureAction


def judged(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    """The records, with the ends that are new in them judged. By worker."""
    pods = {pod.uid: pod for pod in seen.pods}
    found = {
        worker: _judged(seen, record, seen.stored.workers.get(worker), pods.get(record.pod_uid))
        for worker, record in records.items()
    }
    # Of one alone: the last words of a thousand that end so together have no room in the document.
    _, *more = [worker for worker in sorted(found) if found[worker].fatal] or [""]
    return {
        w: record.model_copy(update={"fatal": ""}) if w in more else record for w, record in found.items()
    }


def ruling(rules: Sequence[FailureRule], end: End) -> Ruling | None:
    """None where no rule matches."""
    found = (Ruling(number, rule.action) for number, rule in enumerate(rules) if _matches(rule, end))
    return next(found, None)


def fatal(records: Mapping[str, WorkerRecord]) -> str:
    """Why the job has failed by a rule; empty where it has not."""
    return next((records[worker].fatal for worker in sorted(records) if records[worker].fatal), "")


def _judged(
    seen: Observed, record: WorkerRecord, before: WorkerRecord | None, pod: PodView | None
) -> WorkerRecord:
    failed = record.failures - (before.failures if before else 0)
    if failed > 0 and pod and (_runs_on(pod) or record.restarts > (before.restarts if before else 0)):
        record = _with_failure(seen, record, pod, failed)
    elif failed > 0:
        # How a program ends that is ended from outside says nothing of it.
        record = _ignoring(record, failed)
    return _with_taking(seen, record, pod) if pod and pod.taken_away else record


def _runs_on(pod: PodView) -> bool:
    """A pod that is ended from outside starts no program again: each restart was before."""
    return not pod.deleting and not pod.taken_away


def _with_failure(seen: Observed, record: WorkerRecord, pod: PodView, failed: int) -> WorkerRecord:
    end = _of_program(seen, pod)
    found = ruling(seen.job.spec.run_policy.failure_rules, end)
    if found and found.action is FailureAction.IGNORE:
        return _ignoring(record, failed)
    return _ending_the_job(record, end, found)


def _with_taking(seen: Observed, record: WorkerRecord, pod: PodView) -> WorkerRecord:
    if record.taken_pod == pod.uid:
        return record
    record = record.model_copy(update={"taken_pod": pod.uid})
    end = _of_pod(pod)
    found = ruling(seen.job.spec.run_policy.failure_rules, end)
    if found and found.action is FailureAction.COUNT:
        return record.model_copy(update={"taken_away": record.taken_away + 1})
    return _ending_the_job(record, end, found)


def _ignoring(record: WorkerRecord, failed: int) -> WorkerRecord:
    return record.model_copy(update={"ignored": record.ignored + failed})


def _ending_the_job(record: WorkerRecord, end: End, by: Ruling | None) -> WorkerRecord:
    """Where the rule says so."""
    if by is None or by.action is not FailureAction.FAIL_JOB:
        return record
    code = "" if end.exit_code is None else f" (exit code {end.exit_code})"
    words = f"{record.node}: {clipped(end.words.strip(), TEXT_MAX)}{code}"
    text = f"{words}; runPolicy.failureRules[{by.number}] ends the job for that"
    return record.model_copy(update={"fatal": record.fatal or text})


def _of_pod(pod: PodView) -> End:
    told = next((end for end in pod.ends if end.container == POD), None)
    if told is None:
        return End(conditions=pod.conditions, words="its pod was taken away (DisruptionTarget)")
    return End(frozenset({told.reason}), None, pod.conditions, f"{told.reason}: {told.message}")


def _of_program(seen: Observed, pod: PodView) -> End:
    """The supervisor's word before the kubelet's, which may be of the start before."""
    end = next((end for end in pod.ends if end.container == TRAINER_CONTAINER), None)
    said = _said(seen, pod)
    if said is not None:
        reasons = {said.error_reason or "ProgramFailed", *_of_memory(end)}
        code = EXIT_CODE if said.exit_code is None else said.exit_code
        words = f"{said.error_reason or 'ProgramFailed'}: {said.error or ''}"
    elif end is not None:
        reason, told = words_of(end)
        reasons, code, words = {reason, end.reason} - {"", ANY_ERROR}, end.exit_code, f"{reason}: {told}"
    else:
        reasons, code, words = {"ProgramFailed"}, EXIT_CODE, "its program failed"
    return End(frozenset(reasons | (SAME if SAME & reasons else set())), code, pod.conditions, words)


def _of_memory(end: ContainerEnd | None) -> set[str]:
    return {end.reason} if end is not None and end.reason == OUT_OF_MEMORY else set()


def _said(seen: Observed, pod: PodView) -> TrainingPart | None:
    stamped = seen.reports.get(worker_name(pod.node))
    part = stamped.training if stamped and stamped.head.pod_uid == pod.uid else None
    return part if part and part.state is TrainerState.FAILED else None


def _matches(rule: FailureRule, end: End) -> bool:
    if rule.on_exit_codes:
        return end.exit_code is not None and _has_code(rule.on_exit_codes, end.exit_code)
    if rule.on_pod_conditions:
        return any(end.conditions.get(c.type) == c.status for c in rule.on_pod_conditions)
    return not end.reasons.isdisjoint(rule.on_reasons or ())


def _has_code(wanted: OnExitCodes, code: int) -> bool:
    return (code in wanted.values) == (wanted.operator is ExitCodeOperator.IN)
