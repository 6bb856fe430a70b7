"""How much of the fleet API's time each pod may take, and each job: many requests of one keep nobody waiting.

A leaky bucket by a single number, as of the generic cell rate algorithm (ITU-T I.371): the time at which all
that was taken will be paid for.
"""

import time
from collections.abc import Callable

POD_RATE, POD_BURST = 20.0, 60.0
"""Requests a second, and at once. A worker makes one or two a second; more for a while where its group breaks
and forms again and again, or where it hands over what it kept while nobody answered."""
WORKER_RATE, JOB_RATE, JOB_BURST = 5.0, 100.0, 2000.0
"""The same of a job, with so much more for each of its workers: whoever is many pods at once is one job."""
BYTES = 64 << 10
"""A request with so many bytes more counts as two."""
KEPT = 20_000
"""Pods and jobs remembered, before those are forgotten that have paid for all: within seconds, that is."""


class Paces:
    """Not locked: of one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paid_at: dict[tuple[str, ...], float] = {}

    def wait(self, job_uid: str, pod_uid: str, workers: int) -> float:
        """Count a request, unless it comes too soon: then after how many seconds it does not. `workers`: that
        the job is known to have."""
        job_rate = JOB_RATE + WORKER_RATE * workers
        due = (((job_uid, pod_uid), POD_RATE, POD_BURST), ((job_uid,), job_rate, JOB_BURST))
        if (late := max(self._owed(key) - burst / rate for key, rate, burst in due)) > 0:
            return late
        for key, rate, _ in due:
            self._take(key, 1 / rate)
        return 0.0

    def charge(self, job_uid: str, pod_uid: str, size: int) -> None:
        """Count what came with a request that was let in, bytes."""
        self._take((job_uid, pod_uid), size / BYTES / POD_RATE)

    def _owed(self, key: tuple[str, ...]) -> float:
        """Seconds until all is paid for."""
        return self._paid_at.get(key, 0.0) - self._clock()

    def _take(self, key: tuple[str, ...], seconds: float) -> None:
        now = self._clock()
        if len(self._paid_at) >= KEPT and key not in self._paid_at:
            self._paid_at = {k: at for k, at in self._paid_at.items() if at > now}
        self._paid_at[key] = max(self._paid_at.get(key, 0.0), now) + seconds
