"""A worker without a program: it reports over TLS as a pod would, and fetches its plan."""

import base64
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.waiting import wait_for
from edgetrain.fleet_client import FleetClient, Unavailable
from edgetrain.fleet_settings import FleetSettings
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.report import Formation, Report, TrainerState, TrainingPart
from tests.support.apiserver import ApiServer
from tests.support.objects import items


@dataclass
class FakeWorker:
    """In one pod of a job, with that pod's identity and CA, read from the API server as a kubelet would."""

    api: ApiServer
    pod: dict[str, Any]
    port: int
    """Of the operator's fleet API."""
    directory: Path
    sequence: int = 0
    client: FleetClient | None = None

    def __post_init__(self) -> None:
        meta = self.pod["metadata"]
        self.node = meta["annotations"]["edgetrain.io/node"]
        self.name = worker_name(self.node)
        self.job_uid = meta["labels"]["edgetrain.io/job-uid"]
        mounted = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        secret = self._find("secrets", mounted["identity"]["secret"]["secretName"])
        bundle = self._find("configmaps", mounted["ca"]["configMap"]["name"])["data"]["ca.crt"]
        where = self.directory / meta["name"]
        where.mkdir(parents=True, exist_ok=True)
        (where / "token").write_bytes(base64.b64decode(secret["data"]["token"]))
        (where / "authorities.crt").write_text(bundle)
        self.where = where
        self.dial(self.port)

    def dial(self, port: int) -> None:
        """Talk to this replica from now on."""
        self.close()
        uid = self.pod["metadata"]["uid"]
        files = (self.where, self.where / "authorities.crt")
        self.client = FleetClient(FleetSettings(f"127.0.0.1:{port}", self.job_uid, self.name, uid, *files))

    def close(self) -> None:
        if self.client is not None:
            self.client.__exit__()

    def say(self, state: TrainerState = TrainerState.WAITING, **training: Any) -> None:
        self.sequence += 1
        uid = self.pod["metadata"]["uid"]
        part = {"state": state, "incarnation": f"{uid}-1", "log_disk": uid, "lineage": 1} | training
        report = Report(
            worker=self.name,
            node=self.node,
            pod=self.pod["metadata"]["name"],
            pod_uid=uid,
            address="127.0.0.1",
            control_port=7070,
            state_port=7074,
            probe_port=7073,
            sequence=self.sequence,
            at=time.time(),
            training=TrainingPart.model_validate(part),
        )
        wait_for(lambda: self._sent(report), 10, "the operator to take a report")

    def _sent(self, report: Report) -> bool:
        """As a worker does, which tries again where nobody leads, or the one who does is new."""
        assert self.client
        with contextlib.suppress(Unavailable):
            self.client.send([report])
            return True
        return False

    def train(self, plan: Plan, number: int, members: list[str], lost: list[str], step: int) -> None:
        formation = Formation(
            **plan.history._asdict(),
            revision=plan.revision,
            number=number,
            aggregator=next(w for w in plan.groups[0].succession if w in members),
            members=tuple(members),
        )
        self.say(
            TrainerState.TRAINING,
            formation=formation,
            lost=tuple(lost),
            step=step,
            revision_held=plan.revision,
            **plan.history._asdict(),
            steps_per_second=2.0,
        )

    def _find(self, kind: str, name: str) -> dict[str, Any]:
        namespace = self.pod["metadata"]["namespace"]
        return next(o for o in items(self.api, kind, namespace) if o["metadata"]["name"] == name)
