"""What the fleet API knows, behind one lock: the reconcile's `FleetState`, and what the API asks of it."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.keyring import Keyring
from edgetrain_operator.fleet.pace import Paces
from edgetrain_operator.fleet.plans import PlanBoard
from edgetrain_operator.fleet.probe_book import ProbeBook
from edgetrain_operator.fleet.store import InvalidReport, ReportStore, Sender, check
from edgetrain_operator.fleet.tokens import OPERATOR, make_token, verify_token
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol import identity
from edgetrain_protocol.history import History
from edgetrain_protocol.names import MODEL_DIR
from edgetrain_protocol.report import Report, ReportAnswer
from edgetrain_protocol.signed_plan import signed_content

REMEMBERED = 50_000
"""Pods and jobs that are over; each is asked for no longer than its pod takes to end."""


class Over(Exception):
    """The sender's pod or job is over."""


class Fleet:
    """Implements `FleetState`. Any thread may call; the lock is held for microseconds, never across I/O."""

    def __init__(
        self,
        keyring: Keyring,
        clock: Callable[[], float] = time.time,
        given_authorities: str = "",
        models: str = MODEL_DIR,
    ) -> None:
        """`models`: where workers save theirs."""
        self._lock = threading.Lock()
        self._clock = clock
        self.keyring = keyring
        self._given_authorities, self._models = given_authorities, models
        self._store = ReportStore()
        self._probes: dict[str, ProbeBook] = {}
        self._expected: set[str] = set()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._forgotten: OrderedDict[str, None] = OrderedDict()
        self._callbacks: list[Callable[[str], None]] = []
        self._listeners: list[Callable[[str, Report], None]] = []
        self.board, self.paces = PlanBoard(self._signature), Paces()
        self.counts: Counter[str] = Counter()
        """For the metrics: reports taken and refused, probes ordered."""

    # What the reconcile uses

    def reports(self, job_uid: str) -> Mapping[str, StampedReport]:
        with self._lock:
            return self._store.reports(job_uid)

    def rates(self, job_uid: str) -> Mapping[str, NodeRate]:
        with self._lock:
            book = self._probes.get(job_uid)
            return book.rates(self._clock()) if book else {}

    def reachable(self, job_uid: str) -> Mapping[str, bool]:
        with self._lock:
            book = self._probes.get(job_uid)
            return book.reachable() if book else {}

    def publish(self, job_uid: str, plan: JobPlan) -> None:
        with self._lock:
            self._forgotten.pop(job_uid, None)
            self._expected.add(job_uid)
        self.board.publish(job_uid, plan)

    def expect(self, job_uid: str) -> None:
        with self._lock:
            self._expected.add(job_uid)

    def forget(self, job_uid: str) -> None:
        with self._lock:
            self._expected.discard(job_uid)
            _remember(self._forgotten, job_uid)
            self._store.forget(job_uid)
            self._probes.pop(job_uid, None)
        self.board.forget(job_uid)

    def highest_revision(self, job_uid: str) -> int:
        with self._lock:
            return self._store.highest_revision(job_uid)

    def furthest(self, job_uid: str) -> Mapping[str, tuple[History, int]]:
        with self._lock:
            return self._store.furthest(job_uid)

    def mark_over(self, pod_uid: str) -> None:
        with self._lock:
            known = pod_uid in self._over
            _remember(self._over, pod_uid)
            self._store.forget_pod(pod_uid)
        if not known:
            self.board.wake()

    def on_change(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    def on_report(self, callback: Callable[[str, Report], None]) -> None:
        self._listeners.append(callback)

    def identity(self, job_uid: str, worker: str, pod_uid: str) -> dict[str, str]:
        keyring, now = self.keyring, datetime.now(UTC)
        authority = ca.signer(keyring.authorities, now)
        pair = ca.make_identity(authority, worker, identity.Identity(job_uid, worker, pod_uid).uri, now)
        return {
            identity.TOKEN: make_token(keyring.token_keys[0], job_uid, worker, pod_uid),
            identity.CERTIFICATE: pair.certificate,
            identity.KEY: pair.key,
            identity.ISSUER: authority.certificate,
        }

    def operator_token(self) -> str:
        """Opens the read-only views of all jobs."""
        return make_token(self.keyring.token_keys[0], OPERATOR)

    def ca_bundle(self) -> str:
        # Our own stay in it beside given ones, so that one may change to the other and back.
        return self._given_authorities + ca.bundle(self.keyring.authorities)

    def use(self, keyring: Keyring) -> bool:
        """Take over a renewed keyring; returns whether its authorities are others than before."""
        before, changed = self.ca_bundle(), keyring.authorities != self.keyring.authorities
        self.keyring = keyring
        if changed:
            self.board.sign_anew()
        self._tell_of_bundle(before)
        return changed

    def use_given(self, authorities: str) -> None:
        """Take over the authorities (PEM) of a certificate that others issue."""
        before, self._given_authorities = self.ca_bundle(), authorities
        self._tell_of_bundle(before)

    # What the API uses

    def believes(self, token: str, *whose: str) -> bool:
        """Whether we made this token for this pod (job, worker, uid), or for the operator."""
        return verify_token(self.keyring.token_keys, token, *whose)

    def expects(self, job_uid: str) -> bool:
        return job_uid in self._expected

    def workers(self, job_uid: str) -> int:
        """How many of the job have reported."""
        return self._store.workers(job_uid)

    def is_over(self, job_uid: str, pod_uid: str) -> bool:
        return pod_uid in self._over or job_uid in self._forgotten

    def take(self, job_uid: str, reports: Sequence[Report], sender: Sender) -> ReportAnswer:
        """Keep reports in order.

        Raises:
            InvalidReport: with the report's `index`; those before it are kept.
            Over: none of them is.
        """
        changed, index = False, 0
        try:
            for index, report in enumerate(reports):  # noqa: B007 - says where it stopped
                changed |= self._take_one(job_uid, report, sender)
                self.counts["taken"] += 1
                for listener in self._listeners:
                    listener(job_uid, report)
        except InvalidReport as nonsense:
            self.counts["refused"] += 1
            nonsense.index = index
            raise
        finally:
            if changed:
                self._notify(job_uid)
        plan = self.board.plan(job_uid)
        answer = ReportAnswer(revision=plan.revision if plan else 0)
        return self._with_probe(answer, job_uid, sender) if reports[-1].measured else answer

    def known_jobs(self) -> tuple[str, ...]:
        with self._lock:
            return self._store.jobs()

    def _take_one(self, job_uid: str, report: Report, sender: Sender) -> bool:
        now = self._clock()
        check(report, sender, now, self._models)
        with self._lock:
            if self.is_over(job_uid, sender.pod_uid):
                raise Over(job_uid)
            changed = self._store.take(job_uid, report, now)
            if report.measured:
                changed |= self._book(job_uid).record(report.worker, report.measured, now)
            return changed

    def _book(self, job_uid: str) -> ProbeBook:
        return self._probes.setdefault(job_uid, ProbeBook())

    def _with_probe(self, answer: ReportAnswer, job_uid: str, sender: Sender) -> ReportAnswer:
        now = self._clock()
        with self._lock:
            book = self._book(job_uid)
            order = book.order_for(sender.worker, self._store.reports(job_uid), now)
            pace = book.pace(sender.worker, now)
        self.counts["probes"] += order is not None
        return answer.model_copy(update={"probe": order, "report_every_seconds": pace})

    def _signature(self, text: str) -> str:
        """Of a plan, by the authority that signs certificates now: all who shall read it trust that."""
        return ca.sign(ca.signer(self.keyring.authorities, datetime.now(UTC)), signed_content(text))

    def _tell_of_bundle(self, before: str) -> None:
        """All jobs' ConfigMaps need the new one, and before long a certificate rests on it."""
        if self.ca_bundle() != before:
            for job_uid in self.known_jobs():
                self._notify(job_uid)

    def _notify(self, job_uid: str) -> None:
        for callback in self._callbacks:
            callback(job_uid)


def _remember(remembered: OrderedDict[str, None], uid: str) -> None:
    remembered[uid] = None
    if len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
