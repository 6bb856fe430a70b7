"""Plans that are served, and the workers who wait for the next one."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_protocol.history import ALL


@dataclass(frozen=True)
class Served:
    """What a worker is sent."""

    text: str
    """JSON."""
    signature: str


@dataclass
class _Published:
    plan: JobPlan
    served: dict[tuple[str, bool], Served] = field(default_factory=dict)
    """By the worker's group, and whether it is in: all members are sent the same bytes, signed once."""

    def __post_init__(self) -> None:
        self._groups = {member.worker: of.name for of in self.plan.groups for member in of.members}

    def served_to(self, worker: str, sign: Callable[[str], str]) -> Served:
        within = worker in self._groups
        name = self._groups[worker] if within else self.plan.homes.get(worker, ALL)
        kind = name, within
        if kind not in self.served:
            text = self.plan.slice_for(worker).model_dump_json(by_alias=True, exclude_none=True)
            self.served[kind] = Served(text, sign(text))
        return self.served[kind]


class PlanBoard:
    """Published from any thread, awaited in the loop of the fleet API alone."""

    def __init__(self, sign: Callable[[str], str]) -> None:
        """`sign` makes the operator's signature for a plan's text."""
        self._sign = sign
        self._published: dict[str, _Published] = {}
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def publish(self, job_uid: str, plan: JobPlan) -> None:
        held = self._published.get(job_uid)
        if held is None or held.plan != plan:
            self._published[job_uid] = _Published(plan)
        self.wake(job_uid)

    def sign_anew(self) -> None:
        """From now on, as the operator's authorities have changed. Called where `publish` is."""
        self._published = {job_uid: _Published(held.plan) for job_uid, held in self._published.items()}

    def forget(self, job_uid: str) -> None:
        self._published.pop(job_uid, None)
        self.wake(job_uid)

    def plan(self, job_uid: str) -> JobPlan | None:
        held = self._published.get(job_uid)
        return held.plan if held else None

    def newer_than(self, job_uid: str, worker: str, lineage: int, revision: int) -> Served | None:
        """The worker's slice, where the plan is newer than (lineage, revision)."""
        held = self._published.get(job_uid)
        if held is None or (held.plan.lineage, held.plan.revision) <= (lineage, revision):
            return None
        return held.served_to(worker, self._sign)

    def wake(self, job_uid: str | None = None) -> None:
        """Have those who wait for this job's plan look again; for None, those of all jobs."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._wake, job_uid)

    async def changed(self, job_uid: str, seconds: float) -> None:
        """Return when the job's waiters are woken, or after `seconds`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[job_uid].add(future)
        try:
            await asyncio.wait([future], timeout=seconds)
        finally:
            future.cancel()
            self._waiting[job_uid].discard(future)
            if not self._waiting[job_uid]:
                del self._waiting[job_uid]

    def close(self) -> None:
        """Nobody waits any longer: the server ends."""
        self.closed = True
        self.wake()

    @property
    def pollers(self) -> int:
        return sum(len(futures) for futures in self._waiting.values())

    def _wake(self, job_uid: str | None) -> None:
        jobs = list(self._waiting) if job_uid is None else [job_uid]
        for future in [future for job in jobs for future in self._waiting.get(job, ())]:
            if not future.done():
                future.set_result(None)
