"""Which group a worker is of: one for all, that of its node's site, or one of its own."""

import re
from collections.abc import Mapping

from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.naming import digest
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_protocol.history import ALL, GROUP_NAME
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.strategy import Grouping

NO_SITE = "no-site"
"""The group of those whose nodes carry no site label."""


def grouped(seen: Observed, records: Mapping[str, WorkerRecord]) -> dict[str, WorkerRecord]:
    """The records, each with its worker's group; one whose node is not there stays where it was."""
    return {worker: with_group(seen, worker, record) for worker, record in records.items()}


def with_group(seen: Observed, worker: str, record: WorkerRecord) -> WorkerRecord:
    """The same for one worker."""
    group = _group_of(seen, worker, record)
    return record if group == record.group else record.model_copy(update={"group": group})


def in_rounds(spec: JobSpec) -> bool:
    """Whether it has groups, which train one model."""
    return spec.strategy.grouping is not Grouping.ALL


def gated(spec: JobSpec, enabled: bool) -> str:
    """Why the job's grouping may not be had; empty where it may."""
    grouping = spec.strategy.grouping
    if grouping is Grouping.ALL or enabled:
        return ""
    return (
        f"strategy.grouping {grouping} is experimental, and featureGates.grouping of the edgetrain chart is "
        "false: choose all, or have it set there"
    )


def site_group(site: str) -> str:
    """The name of a site's group. A label's value may hold what a group's name may not."""
    if not site or re.fullmatch(GROUP_NAME, site):
        return site or NO_SITE
    plain = re.sub("[^a-z0-9]+", "-", site.lower()).strip("-")
    return "-".join(filter(None, (plain[:50], digest(site))))


def _group_of(seen: Observed, worker: str, record: WorkerRecord) -> str:
    match seen.job.spec.strategy.grouping:
        case Grouping.SITE:
            node = seen.nodes.get(record.node)
            return site_group(node.labels.get(SITE_LABEL, "")) if node else record.group
        case Grouping.SINGLE:
            return worker
        case _:
            return ALL
