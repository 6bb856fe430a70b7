"""Leader election on a Lease. It keeps two leaders rare and short; what keeps them harmless is the
compare-and-swap on every plan.

The official client's module does not do: with a frozen API server it goes on leading for minutes.
Here each request ends well before the deadline, the clock cannot be set, a thread of its own keeps the
deadline whatever the rest of the process does, and past it the process ends.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from edgetrain_operator.kube.client import Kube, Object
from edgetrain_operator.kube.errors import KubeError
from edgetrain_operator.kube.resources import LEASES

log = logging.getLogger(__name__)

LONGEST_SECONDS = 30.0
"""For which a Lease is believed, whatever is written in it: an edited one would leave nobody to lead."""


@dataclass(frozen=True)
class Times:
    """Seconds. A take-over begins `duration` and `retry` after the last renewal at the latest."""

    duration: float = 8.0
    """A Lease that was not renewed this long may be taken. A whole number: a Lease has no other."""
    deadline: float = 5.5
    """A leader that could not renew this long ends; with a request in flight still before `duration`."""
    retry: float = 1.0
    request: float = 2.5
    """Time-out of one request."""


def clock() -> float:
    """Goes on while the machine sleeps and cannot be set: a leader that wakes up knows that it is late."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Sighting:
    """A Lease as it was seen, and when this process first saw it so, by its own clock.

    The time written in it is another machine's; only that it changes is of use.
    """

    holder: str
    renewed: str
    version: str
    transitions: int
    duration: float
    first_seen: float

    def free(self, me: str, now: float) -> bool:
        return self.holder in ("", me) or now - self.first_seen > self.duration


class LeaderElection:
    """Takes part in the election from `start` to `stop`; implements the fleet API's `Leadership`."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Kube]],
        *,
        namespace: str,
        name: str,
        identity: str,
        address: str,
        on_lead: Callable[[], object],
        on_lost: Callable[[], object],
        times: Times | None = None,
    ) -> None:
        """Both callbacks are called in the election's thread. `on_lost` shall end the process.

        Args:
            address: host:port of this replica's fleet API, for the others.
        """
        self._connect, self._namespace, self._name = connect, namespace, name
        self._me = f"{identity}/{random.randrange(16**8):08x}/{address}"
        self._on_lead, self._on_lost, self._times = on_lead, on_lost, times or Times()
        self._seen: Sighting | None = None
        self._renewed: float | None = None
        """When the last successful renewal was sent; None while another leads."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Give the Lease back, so that another leads at once, and end."""
        self._stop.set()
        self._thread.join(2 * self._times.request)

    def leads(self) -> bool:
        renewed = self._renewed
        return renewed is not None and clock() - renewed < self._times.deadline

    def leader_address(self) -> str | None:
        """Of whoever leads, as far as is known here; None where the Lease is free or has run out."""
        seen = self._seen
        if seen is None or not seen.holder or clock() - seen.first_seen > seen.duration:
            return None
        return seen.holder.rpartition("/")[2]

    async def _run(self) -> None:
        kube = await self._connect()
        while not self._stop.is_set():
            await self._try(kube)
            if self._renewed is not None and not self.leads():
                log.error("the Lease could not be renewed for %g s", self._times.deadline)
                self._renewed = None
                self._on_lost()
                return
            await asyncio.to_thread(self._stop.wait, self._pause())
        if self.leads():
            await self._release(kube)
        await kube.close()

    def _pause(self) -> float:
        """Until the next try; neither a leader's deadline nor the end of another's Lease is slept past."""
        pause = self._times.retry * random.uniform(0.8, 1.0)
        if self._renewed is not None:
            return max(min(pause, self._renewed + self._times.deadline - clock()), 0.0)
        runs_out = self._seen.first_seen + self._seen.duration - clock() if self._seen else pause
        return min(pause, runs_out) if runs_out > 0 else pause

    async def _try(self, kube: Kube) -> None:
        try:
            async with asyncio.timeout(self._times.request):
                await self._take_or_renew(kube)
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease: %s", error or "no answer in time")

    async def _take_or_renew(self, kube: Kube) -> None:
        sent = clock()
        found = await kube.find(LEASES, self._name, self._namespace)
        seen = self._seen = _sighting(found, self._seen, sent)
        if self._renewed is not None and seen is not None and seen.holder != self._me:
            # Taken: we were late by somebody's clock. Two leaders for a moment; the plans are fenced.
            self._renewed = float("-inf")
            return
        if seen is not None and not seen.free(self._me, sent):
            return
        written = await self._write(kube, seen, self._me, self._times.duration)
        self._seen = _sighting(written, None, sent)
        first, self._renewed = self._renewed is None, sent
        if first:
            log.info("leading as %s", self._me)
            self._on_lead()

    async def _release(self, kube: Kube) -> None:
        self._renewed = None
        try:
            async with asyncio.timeout(self._times.request):
                await self._write(kube, self._seen, "", 1.0)
        except (KubeError, TimeoutError) as error:
            log.warning("the Lease was not given back: %s", error or "no answer in time")

    async def _write(self, kube: Kube, seen: Sighting | None, holder: str, duration: float) -> Object:
        """Over the version that was seen, so that of two who find it free one gets it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changed = seen is None or seen.holder != holder
        transitions = 0 if seen is None else seen.transitions + (changed and bool(holder))
        body: Object = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(round(duration), 1),
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }
        if seen is None:
            return await kube.create(LEASES, body)
        body["metadata"]["resourceVersion"] = seen.version
        return await kube.replace(LEASES, body)


def _sighting(raw: Object | None, before: Sighting | None, now: float) -> Sighting | None:
    if raw is None:
        return None
    spec = raw.get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
    # By its version whoever edits a label would renew it.
    unchanged = before is not None and (before.holder, before.renewed) == (holder, renewed)
    return Sighting(
        holder=holder,
        renewed=renewed,
        version=raw["metadata"]["resourceVersion"],
        transitions=spec.get("leaseTransitions") or 0,
        duration=min(float(spec.get("leaseDurationSeconds") or 0), LONGEST_SECONDS),
        first_seen=before.first_seen if before is not None and unchanged else now,
    )
