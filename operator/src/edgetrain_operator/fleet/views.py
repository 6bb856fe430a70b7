"""Read-only views: what status.nodes of a large job has no room for."""

from collections.abc import Sequence

from pydantic import Field

from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.base import Document


class JobLine(Document):
    uid: str
    lineage: int = 0
    revision: int = 0
    workers: int = Field(description="Workers that have reported.")


class Jobs(Document):
    jobs: list[JobLine]


class NodeLine(Document):
    node: str
    worker: str
    pod: str
    state: str
    received: float = Field(description="Unix time of the newest report, by the operator's clock.")
    step: int = 0
    epoch: int = 0
    percent: float = 0.0
    loss: float | None = None
    steps_per_second: float = 0.0
    samples_per_second: float = 0.0
    bandwidth_bits_per_second: float | None = None
    aggregator: bool = False
    cpu_ratio: float | None = None
    memory_available_bytes: int | None = None
    temperature_celsius: float | None = None
    battery_ratio: float | None = None
    error: str | None = None


class Job(Document):
    uid: str
    lineage: int = 0
    revision: int = 0
    nodes: list[NodeLine]


def jobs(fleet: Fleet, uids: Sequence[str]) -> Jobs:
    return Jobs(jobs=[_job_line(fleet, uid) for uid in uids])


def job(fleet: Fleet, uid: str) -> Job:
    plan, rates = fleet.board.plan(uid), fleet.rates(uid)
    aggregators = plan.aggregators if plan else frozenset()
    nodes = [
        _node_line(worker, held, rates.get(worker), worker in aggregators)
        for worker, held in sorted(fleet.reports(uid).items(), key=lambda item: item[1].head.node)
    ]
    return Job(
        uid=uid, lineage=plan.lineage if plan else 0, revision=plan.revision if plan else 0, nodes=nodes
    )


def _job_line(fleet: Fleet, uid: str) -> JobLine:
    plan = fleet.board.plan(uid)
    return JobLine(
        uid=uid,
        lineage=plan.lineage if plan else 0,
        revision=plan.revision if plan else 0,
        workers=len(fleet.reports(uid)),
    )


_TRAINING = ("step", "epoch", "percent", "loss", "steps_per_second", "error")
_MEASURED = ("cpu_ratio", "memory_available_bytes", "temperature_celsius", "battery_ratio")


def _node_line(worker: str, held: StampedReport, rate: NodeRate | None, aggregator: bool) -> NodeLine:
    training = {name: getattr(held.training, name) for name in _TRAINING} if held.training else {}
    measured = {name: getattr(held.measured, name) for name in _MEASURED} if held.measured else {}
    return NodeLine(
        node=held.head.node,
        worker=worker,
        pod=held.head.pod,
        state=held.training.state if held.training else "unknown",
        received=held.received,
        bandwidth_bits_per_second=rate.bits_per_second if rate else None,
        aggregator=aggregator,
        samples_per_second=held.training.own_samples_per_second if held.training else 0.0,
        **training,
        **measured,
    )
