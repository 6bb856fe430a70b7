"""A real fleet API on loopback, and the clients of pods that dial it."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgetrain.fleet_settings import FleetSettings
from edgetrain_operator.core.job_plan import GroupPlan, JobPlan
from edgetrain_operator.fleet.external_certificate import Offer
from edgetrain_operator.fleet.keyring import Keyring, renewed
from edgetrain_operator.fleet.service import FleetService
from edgetrain_protocol.history import ALL
from edgetrain_protocol.plan import Group, Member, Plan
from edgetrain_protocol.report import NodePart, Report, TrainerState, TrainingPart
from tests.support.identities import write_identity

JOB = "9a1f7c52-job"


@dataclass
class Lease:
    """Who leads, as a test wants it."""

    leading: bool = True
    address: str | None = None

    def leads(self) -> bool:
        return self.leading

    def leader_address(self) -> str | None:
        return self.address


class MemoryStore:
    """A Secret with compare-and-swap, and whoever else writes it first."""

    def __init__(self, rival: Keyring | None = None) -> None:
        self.kept: dict[str, str] | None = None
        self.rival = rival
        self.writes = 0

    async def load(self) -> Keyring | None:
        return Keyring.from_secret(self.kept) if self.kept else None

    async def save(self, keyring: Keyring) -> bool:
        if self.rival:
            self.kept, self.rival = self.rival.to_secret(), None
            return False
        self.writes += 1
        self.kept = keyring.to_secret()
        return True


@contextmanager
def serving(
    keyring: Keyring | None = None, lease: Lease | None = None, given: Offer | None = None
) -> Iterator[FleetService]:
    keyring = keyring or renewed(None, datetime.now(UTC))
    service = FleetService(keyring, lease or Lease(), "127.0.0.1", 0, given)
    service.fleet.expect(JOB)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def settings_for(
    service: FleetService, directory: Path, worker: str = "w-a", job: str = JOB
) -> FleetSettings:
    """What a pod of this worker is given: address, identity and CA as files of its own."""
    identity = write_identity(directory, worker, job=job, by=service.fleet.keyring)
    authorities = directory / "authorities.crt"
    authorities.write_text(service.fleet.ca_bundle())
    return FleetSettings(f"127.0.0.1:{service.port}", job, worker, f"pod-{worker}", identity, authorities)


def report(
    worker: str = "w-a",
    sequence: int = 0,
    *,
    at: float | None = None,
    training: TrainingPart | None = None,
    measured: NodePart | None = None,
    probe_port: int = 7073,
) -> Report:
    if training is None and measured is None:
        training = TrainingPart(state=TrainerState.TRAINING, incarnation="i1", step=sequence)
    return Report(
        worker=worker,
        node=f"node-{worker}",
        pod=f"pod-of-{worker}",
        pod_uid=f"pod-{worker}",
        address="127.0.0.1",
        control_port=7070,
        state_port=7074,
        probe_port=probe_port,
        sequence=sequence,
        at=time.time() if at is None else at,
        training=training,
        measured=measured,
    )


def plan(
    revision: int = 1, lineage: int = 1, groups: tuple[tuple[str, ...], ...] = (("w-a", "w-b"),)
) -> JobPlan:
    return JobPlan(
        job_uid=JOB,
        lineage=lineage,
        revision=revision,
        groups=tuple(
            GroupPlan(name=name, group=_group(name, workers))
            for name, workers in zip((ALL, "site-b", "site-c"), groups, strict=False)
        ),
    )


def served(revision: int = 1, worker: str = "w-a", **of_plan: Any) -> Plan:
    """What a worker is served of it."""
    return plan(revision, **of_plan).slice_for(worker)


def _group(name: str, workers: tuple[str, ...]) -> Group:
    return Group(name=name, members=tuple(map(_member, workers)), succession=workers)


def _member(worker: str) -> Member:
    return Member(
        worker=worker,
        node=f"node-{worker}",
        pod_uid=f"pod-{worker}",
        address="127.0.0.1",
        control_port=7070,
        state_port=7074,
        probe_port=7073,
    )


def served_certificate(address: str) -> str:
    """PEM of what a new connection is shown."""
    host, port = address.split(":")
    deadline = time.monotonic() + 5
    while True:
        try:
            return ssl.get_server_certificate((host, int(port)))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
