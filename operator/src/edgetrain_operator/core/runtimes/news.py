"""What a job's status and Events say of its runtime."""

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.lifecycle import is_over
from edgetrain_operator.core.model import Job
from edgetrain_operator.core.runtimes.use import RuntimeUse
from edgetrain_protocol.names import RUNTIME_KIND
from edgetrain_protocol.status import RuntimeStatus

TAKE_OVER = "to take it over, suspend the job and let it go on"


def runtime_status(job: Job) -> RuntimeStatus | None:
    """Of a job that is over it stays as it was."""
    use = job.runtime
    if use is None or is_over(job.status):
        return job.status.runtime
    return RuntimeStatus(
        name=use.name,
        generation=use.version.generation if use.version else None,
        newest_generation=use.newest.generation if use.newest else None,
        message=_message(use) if use.outdated else "",
    )


def runtime_events(before: RuntimeStatus | None, after: RuntimeStatus | None) -> tuple[Event, ...]:
    """One for each time that the runtime changes while the job keeps what it has."""
    if after is None or not after.message or (before and before.message == after.message):
        return ()
    reason = "RuntimeDeleted" if after.newest_generation is None else "RuntimeChanged"
    return (Event("Normal", reason, f"{RUNTIME_KIND} {after.name} {after.message}"),)


def _message(use: RuntimeUse) -> str:
    kept = f"the job keeps generation {use.version.generation if use.version else 0}, with which it began"
    if use.newest is None:
        return f"is gone: {kept}"
    if use.version and use.version.uid != use.newest.uid:
        return f"was made anew: {kept}; {TAKE_OVER}"
    return f"is of generation {use.newest.generation} now: {kept}; {TAKE_OVER}"
