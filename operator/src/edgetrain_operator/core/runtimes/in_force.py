"""Which version of its runtime a job has, and what the job comes to by it.

Until its first pod is made it follows the runtime. From then on it keeps what it began with, whatever becomes
of the runtime, until it is suspended and no pod is left.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from edgetrain_operator.core.model import Job
from edgetrain_operator.core.runtimes.merge import merged
from edgetrain_operator.core.runtimes.use import RuntimeUse
from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import RUNTIME_KIND
from edgetrain_protocol.runtime import RuntimeSpec

RUNTIME_MISSING = "RuntimeMissing"
RUNTIME_INVALID = "RuntimeInvalid"
NOT_ALLOWED = "NotAllowed"
TOLD_MAX = 5


def with_runtime(job: Job, stored: StoredPlan, has_pods: bool, newest: RuntimeVersion | None) -> Job:
    """The job with what its runtime says, where it names one.

    Args:
        newest: the runtime as it is now; None where there is none.
    """
    ref = job.spec.runtime_ref
    if ref is None:
        return job
    # Pods may all be gone for a while; but until there is a plan, nothing has begun.
    kept = stored.runtime if has_pods or stored.plan is not None else None
    use = RuntimeUse(ref.name, job.spec, kept or newest, newest)
    if use.version is None:
        text = f"{RUNTIME_KIND} {ref.name} is not in this cluster: make it, or name another in a new job"
        return replace(job, runtime=replace(use, reason=RUNTIME_MISSING, message=text))
    try:
        return _merged(job, use, use.version.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        text = f"{RUNTIME_KIND} {ref.name}: spec.{where}: {first['msg']}: correct it there"
        return replace(job, runtime=replace(use, reason=RUNTIME_INVALID, message=text))


def _merged(job: Job, use: RuntimeUse, runtime: RuntimeSpec) -> Job:
    found = merged(job.spec, runtime)
    message = (
        _not_for(job.namespace, runtime.namespaces, use.name)
        or _refusal(found.refused, use.name)
        or _nothing_to_run(found.spec, use.name)
    )
    told = replace(use, reason=NOT_ALLOWED if message else "", message=message)
    return replace(job, spec=found.spec, runtime=told)


def _not_for(namespace: str, listed: Sequence[str], runtime: str) -> str:
    if not listed or namespace in listed:
        return ""
    return (
        f"{RUNTIME_KIND} {runtime} is not for namespace {namespace}: spec.namespaces does not list it: name "
        "another runtime in a new job, or have it listed there"
    )


def _refusal(refused: tuple[str, ...], runtime: str) -> str:
    if not refused:
        return ""
    more = f" (and {len(refused) - TOLD_MAX} more)" if refused[TOLD_MAX:] else ""
    return (
        f"{'; '.join(refused[:TOLD_MAX])}{more} may not be said: spec.mayChange of {RUNTIME_KIND} {runtime} "
        "does not list it: do without, or have it listed there"
    )


def _nothing_to_run(spec: JobSpec, runtime: str) -> str:
    program = spec.program
    if program.source or program.image or program.command:
        return ""
    return (
        f"nothing to run: neither the job nor {RUNTIME_KIND} {runtime} names program.source, program.command "
        "or program.image: name one"
    )
