"""What a report says as time series: names, labels and values.

In the protocol, since two sides tell the same: the worker's own page, for who scrapes on site, and the
operator, who relays it. Every label's values are bounded: words of the lists below, and a few names that
programs give what they log and the labels of their data; what else a worker may say is passed over.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from edgetrain_protocol.names import OWN_PHASES, SHARED_PHASES
from edgetrain_protocol.report import NodePart, Report, TrainingPart

PHASES = (*OWN_PHASES, *SHARED_PHASES)
SCOPES = ("site", "wan")


class Family(NamedTuple):
    """A metric: its name without the ending that samples get for its kind, and what it tells."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    text: str


Labels = Mapping[str, str]


class Row(NamedTuple):
    """One sample. `part`: which of a summary's two."""

    family: Family
    labels: Labels
    value: float
    part: Literal["", "_count", "_sum"] = ""

    @property
    def name(self) -> str:
        """As Prometheus stores it."""
        return self.family.name + ("_total" if self.family.kind == "counter" else self.part)


STATE = Family("edgetrain_worker_state", "gauge", "1 for the state that the worker is in.")
STEP = Family("edgetrain_step", "gauge", "The last committed step.")
STEPS = Family("edgetrain_steps", "counter", "Committed optimiser steps.")
SAMPLES = Family("edgetrain_samples", "counter", "Samples in committed steps, over all members.")
RETURNED = Family("edgetrain_samples_returned", "gauge", "Samples that lost members gave back.")
LOSS = Family("edgetrain_loss", "gauge", "Mean loss of the last committed step.")
LOGGED = Family("edgetrain_program_metric", "gauge", "What the program logged, by the name it gave.")
LOCAL_SAMPLES = Family("edgetrain_local_samples", "gauge", "Samples of data that the worker has alone.")
LOCAL_LABELS = Family("edgetrain_local_label_samples", "gauge", "Of those, the samples with a label.")
STEP_SECONDS = Family("edgetrain_step_seconds", "gauge", "Duration of the last step.")
PHASE_SECONDS = Family("edgetrain_phase_seconds", "counter", "Time of the trainer by phase of a step.")
BYTES = Family("edgetrain_bytes", "counter", "Bytes exchanged in training, by direction and scope.")
WORLD = Family("edgetrain_world_size", "gauge", "Members of the formation that the trainer is in.")
FORMATION = Family("edgetrain_formation_number", "gauge", "Number of that formation.")
RECOVERY = Family("edgetrain_recovery_seconds", "summary", "From a broken formation to the next one built.")
SHARE = Family("edgetrain_share_ratio", "gauge", "Part of the global batch that this member gets.")
REDUCE_BYTES = Family("edgetrain_reduce_bytes", "gauge", "Bytes of one reduction as fp32.")
PAYLOAD = Family("edgetrain_payload", "gauge", "1 for how the gradients are packed that this member sends.")
VERSION = Family("edgetrain_version", "gauge", "Newest version of the one model that the worker has read of.")
APPLIED = Family("edgetrain_version_applied", "gauge", "The version that its work is measured from.")
MERGED = Family("edgetrain_merged_samples", "gauge", "Samples of all epochs that versions contain.")
CHECKPOINT_STEP = Family("edgetrain_checkpoint_step", "gauge", "Step of the newest checkpoint.")
CHECKPOINT_TIME = Family(
    "edgetrain_checkpoint_timestamp_seconds", "gauge", "Unix time at which it was saved."
)

_PROFILER = "edgetrain_profiler"
CPU = Family(f"{_PROFILER}_node_cpu_ratio", "gauge", "Cores in use over cores of the node.")
CORES = Family(f"{_PROFILER}_node_cpu_cores", "gauge", "Cores of the node.")
MEMORY = Family(f"{_PROFILER}_node_memory_bytes", "gauge", "Memory of the node.")
AVAILABLE = Family(f"{_PROFILER}_node_memory_available_bytes", "gauge", "Memory not in use on the node.")
TEMPERATURE = Family(f"{_PROFILER}_node_temperature_celsius", "gauge", "Of the node's hottest sensor.")
BATTERY = Family(f"{_PROFILER}_node_battery_ratio", "gauge", "Charge of the node's emptiest battery.")
RECEIVED = Family(f"{_PROFILER}_interface_receive_bytes", "counter", "Received by the pod's interface.")
SENT = Family(f"{_PROFILER}_interface_transmit_bytes", "counter", "Sent by the pod's interface.")
ALARM = Family(
    f"{_PROFILER}_bandwidth_alarm", "gauge", "1 while the exchanges contradict the last probe, else 0."
)


def job_labels(namespace: str, name: str) -> dict[str, str]:
    """Not `namespace` and `job`: Prometheus puts those on every series itself, with other meanings."""
    return {"job_namespace": namespace, "job_name": name}


def rows_of_report(report: Report, labels: Labels) -> Iterator[Row]:
    """What one report says by itself; `labels` are its worker's."""
    if part := report.training:
        yield from rows_of_training(part, labels)
        if part.formation and part.formation.members[:1] == (report.worker,):
            # Of the main member: what all log is the same, and would be there once for each.
            yield from rows_of_program(part, labels)
    if report.measured:
        yield from rows_of_node(report.measured, labels)


def rows_of_training(part: TrainingPart, labels: Labels) -> Iterator[Row]:
    totals = part.totals
    yield Row(STATE, {**labels, "state": part.state}, 1)
    yield Row(STEP, labels, part.step)
    yield Row(STEPS, labels, totals.steps)
    yield Row(SAMPLES, labels, totals.samples)
    yield Row(RETURNED, labels, part.samples_lost)
    if part.loss is not None:
        yield Row(LOSS, labels, part.loss)
    yield Row(STEP_SECONDS, labels, part.step_seconds)
    yield Row(WORLD, labels, len(part.formation.members) if part.formation else 0)
    yield Row(FORMATION, labels, part.formation.number if part.formation else 0)
    yield Row(RECOVERY, labels, part.recoveries, "_count")
    yield Row(RECOVERY, labels, totals.recovery_seconds, "_sum")
    yield Row(SHARE, labels, part.share)
    yield Row(REDUCE_BYTES, labels, part.reduce_bytes)
    if part.payload:
        yield Row(PAYLOAD, {**labels, "payload": part.payload}, 1)
    for phase, seconds in totals.phase_seconds.items():
        if phase in PHASES:
            yield Row(PHASE_SECONDS, {**labels, "phase": phase}, seconds)
    if part.local_samples:
        yield Row(LOCAL_SAMPLES, labels, part.local_samples)
    for label, count in part.local_labels.items():
        yield Row(LOCAL_LABELS, {**labels, "label": label}, count)
    if part.rounds:
        yield Row(VERSION, labels, part.rounds.version)
        yield Row(APPLIED, labels, part.rounds.applied)
        yield Row(MERGED, labels, part.rounds.merged)
    yield from _traffic(part, labels)
    yield from _checkpoint(part, labels)


def rows_of_program(part: TrainingPart, labels: Labels) -> Iterator[Row]:
    """What the program logs itself."""
    for name, value in part.metrics.items():
        yield Row(LOGGED, {**labels, "metric": name}, value)


def rows_of_node(part: NodePart, labels: Labels) -> Iterator[Row]:
    values: dict[Family, float | None] = {
        CPU: part.cpu_ratio,
        CORES: part.cpu_cores,
        MEMORY: part.memory_bytes,
        AVAILABLE: part.memory_available_bytes,
        TEMPERATURE: part.temperature_celsius,
        BATTERY: part.battery_ratio,
        RECEIVED: part.received_bytes,
        SENT: part.sent_bytes,
        ALARM: part.bandwidth_alarm,
    }
    for family, value in values.items():
        if value is not None:
            yield Row(family, labels, float(value))


def _traffic(part: TrainingPart, labels: Labels) -> Iterator[Row]:
    for traffic in part.totals.traffic:
        if traffic.scope in SCOPES:
            mine = {**labels, "scope": traffic.scope}
            yield Row(BYTES, {**mine, "direction": "sent"}, traffic.sent_bytes)
            yield Row(BYTES, {**mine, "direction": "received"}, traffic.received_bytes)


def _checkpoint(part: TrainingPart, labels: Labels) -> Iterator[Row]:
    if part.checkpoint:
        yield Row(CHECKPOINT_STEP, labels, part.checkpoint.step)
        if part.checkpoint.at:
            yield Row(CHECKPOINT_TIME, labels, part.checkpoint.at)
