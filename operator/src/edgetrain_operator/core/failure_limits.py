"""Nodes on which the program fails too often are left out, while the job can do without them.

The limit per node only ever saves a job: a node that it cannot do without goes on counting against the
job's own limit, which alone can end it. A node that is left out stays so until somebody brings it back,
also where other nodes go dark meanwhile: it would fail again.
"""

from collections.abc import Iterator, Mapping

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.placement import Placement, can_run, matches
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.troubles import LAST_WORDS_MAX, left_out_trouble, node_trouble
from edgetrain_protocol.run_policy import RunPolicy


def limit_per_node(policy: RunPolicy) -> int | None:
    """None where it plays no part, because the job's own limit is reached before it."""
    given, of_job = policy.backoff_limit_per_node, policy.backoff_limit
    limit = (of_job + 1) // 2 if given is None else given
    return limit if limit < of_job else None


def limited(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    """The records, with who is left out from now on, and who is no more. By worker."""
    limit = limit_per_node(seen.job.spec.run_policy)
    known = {worker: _taken_back(seen, record, limit) for worker, record in records.items()}
    if limit is None:
        return known
    scene = DecisionContext(seen, known, Placement())
    for worker in sorted(known, key=lambda w: (-known[w].own_failures, known[w].node)):
        record = known[worker]
        if record.own_failures > limit and not record.left_out and _can_do_without(seen, known, record.node):
            known[worker] = record.model_copy(update={"left_out": _last_words(scene, worker)})
    return known


def left_out(records: Mapping[str, WorkerRecord]) -> frozenset[str]:
    """Nodes."""
    return frozenset(record.node for record in records.values() if record.left_out)


def limit_events(before: Mapping[str, WorkerRecord], now: Mapping[str, WorkerRecord]) -> Iterator[Event]:
    """Who was left out, and who may take part again."""
    for worker, record in now.items():
        was = worker in before and bool(before[worker].left_out)
        if record.left_out and not was:
            found = left_out_trouble(record)
            yield Event("Warning", found.reason, found.message)
        if was and not record.left_out:
            yield Event("Normal", "NodeTakenBack", f"{record.node} may have a worker again")


def _taken_back(seen: Observed, record: WorkerRecord, limit: int | None) -> WorkerRecord:
    """With nothing against it, where somebody has brought it back: what it failed before would count
    against the job's limit at once, and might end the job."""
    within = limit is None or record.own_failures <= limit
    if record.node not in seen.job.spec.nodes.exclude and not (record.left_out and within):
        return record
    return record.forgiven()


def _can_do_without(seen: Observed, records: Mapping[str, WorkerRecord], node: str) -> bool:
    """Whether enough others are left; one that is dark or cordoned now may be back."""
    gone, spec = left_out(records) | {node}, seen.job.spec
    able = [n for n in seen.nodes.values() if n.name not in gone and matches(n, spec) and can_run(n)]
    return sum(_sound(seen, records, worker_name(n.name)) for n in able) >= spec.nodes.min


def _sound(seen: Observed, records: Mapping[str, WorkerRecord], worker: str) -> bool:
    """Whether the program is not known to fail there as well: what fails everywhere is no node's fault."""
    record = records.get(worker)
    formations = (group.formation for group in seen.stored.groups.values())
    within = any(newest is not None and worker in newest.members for newest in formations)
    return record is None or not record.own_failures or within


def _last_words(scene: DecisionContext, worker: str) -> str:
    trouble = node_trouble(scene, worker)
    words = (
        trouble.message.removeprefix(f"{trouble.node}: ") if trouble else "the program ended with an error"
    )
    return words[:LAST_WORDS_MAX]
