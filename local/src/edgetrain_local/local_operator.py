"""The operator without Kubernetes: its own decisions and its own fleet API, over nodes that are pretended."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from edgetrain_local.keep import Kept
from edgetrain_local.node import Node
from edgetrain_local.wish import Wish, job_of
from edgetrain_operator.core.actions import Action, Create, Decision, DeletePod, Event, Forget, MarkOver
from edgetrain_operator.core.decide import decide
from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.model import Defaults, Observed
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import pod_view
from edgetrain_operator.core.presets import with_preset
from edgetrain_operator.core.status import status_due
from edgetrain_operator.fleet.forward import OnlyOperator
from edgetrain_operator.fleet.service import FleetService
from edgetrain_protocol.names import NODE_ANNOTATION
from edgetrain_protocol.status import JobStatus

LOOK_SECONDS = 1.0
"""Between looks where nothing was heard: what is shown is no older."""

Tell = Callable[[Event], None]


class Operator:
    def __init__(self, wish: Wish, kept: Kept, nodes: Mapping[str, Node], address: str, tell: Tell) -> None:
        """`address`: where workers find this machine."""
        self._wish, self._kept, self._nodes, self._tell = wish, kept, nodes, tell
        self._service = FleetService(kept.keyring, OnlyOperator(), address, 0, models=str(wish.models))
        self._fleet = self._service.fleet
        self._address = address
        self._since = time.time()
        self._heard = threading.Event()
        self._due = 0.0
        self._served = (0, 0)
        self._saved, self._saved_at = kept.status, time.monotonic()
        self.suspend = False
        """Whether the job shall stop, and keep what it has."""

    @property
    def status(self) -> JobStatus:
        return self._kept.status

    def start(self) -> None:
        """Listen for workers.

        Raises:
            RuntimeError: that cannot be had.
        """
        self._fleet.on_change(lambda _: self._heard.set())
        self._fleet.expect(self._kept.uid)
        self._service.start()
        self._defaults = Defaults(
            "this machine",
            f"{self._address}:{self._service.port}",
            trainer_memory_percent=0,
            feature_gates=FeatureGates(grouping=True),
        )

    def stop(self) -> None:
        self._service.stop()
        self._save()

    def look(self, changed: bool) -> None:
        """Observe, decide, apply: where something changed or was heard, and now and then."""
        now = time.time()
        if not (changed or self._heard.is_set() or now >= self._due):
            return
        self._heard.clear()
        decision = decide(self._observed(now))
        self._apply(decision)
        self._due = min(decision.requeue_at or now + LOOK_SECONDS, now + LOOK_SECONDS)

    def _observed(self, now: float) -> Observed:
        """In the order that the operator keeps: reports before pods."""
        uid, kept = self._kept.uid, self._kept
        reports, rates = self._fleet.reports(uid), self._fleet.rates(uid)
        heard, furthest = self._fleet.highest_revision(uid), self._fleet.furthest(uid)
        return Observed(
            job=with_preset(job_of(self._wish, uid, kept.created, kept.status, suspend=self.suspend)),
            now=now,
            since=self._since,
            defaults=self._defaults,
            nodes={name: node.view for name, node in self._nodes.items()},
            pods=tuple(pod_view(pod.raw()) for node in self._nodes.values() for pod in node.pods),
            stored=kept.stored,
            reports=reports,
            rates=rates,
            reachable=self._fleet.reachable(uid),
            heard_revision=heard,
            furthest=furthest,
        )

    def _apply(self, decision: Decision) -> None:
        """The plan is on disk before it is served, and before the pods are made that it names."""
        if decision.stored != self._kept.stored:
            self._kept = replace(self._kept, stored=decision.stored)
            self._save()
        plan = decision.stored.plan
        if plan is not None and self._served != (plan.lineage, plan.revision):
            self._fleet.publish(self._kept.uid, plan)
            self._served = (plan.lineage, plan.revision)
        for action in decision.actions:
            self._do(action)
        self._kept = replace(self._kept, status=decision.status)
        if status_due(self._saved, decision.status, time.monotonic() - self._saved_at):
            self._save()
        for event in (*decision.events, *decision.status_events):
            self._tell(event)

    def _save(self) -> None:
        self._kept.save()
        self._saved, self._saved_at = self._kept.status, time.monotonic()

    def _do(self, action: Action) -> None:
        match action:
            case Create({"kind": "Pod", "metadata": {"annotations": annotations}} as manifest):
                self._create(self._nodes[annotations[NODE_ANNOTATION]], manifest)
            case DeletePod(_, uid):
                for pod in (pod for node in self._nodes.values() for pod in node.pods if pod.uid == uid):
                    pod.delete()
            case MarkOver(uid):
                self._fleet.mark_over(uid)
            case Forget():
                self._fleet.forget(self._kept.uid)

    def _create(self, node: Node, manifest: dict[str, object]) -> None:
        pod = node.create(manifest)
        files = self._fleet.identity(self._kept.uid, worker_name(node.name), pod.uid)
        pod.write_identity(files, self._fleet.ca_bundle())
