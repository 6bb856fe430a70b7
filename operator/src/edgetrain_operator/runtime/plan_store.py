"""The stored plan in its ConfigMap: what was read, and whether somebody has edited it under us."""

import logging
from dataclasses import dataclass, field

from pydantic import ValidationError

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.model import Job
from edgetrain_operator.core.naming import plan_config_map_name
from edgetrain_operator.core.observe import controller_of
from edgetrain_operator.core.stored import DOCUMENT_KEY, StoredPlan
from edgetrain_operator.kube.client import Kube, Object
from edgetrain_operator.kube.resources import CONFIG_MAPS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldPlan:
    """As it was read."""

    stored: StoredPlan = field(default_factory=StoredPlan)
    version: str | None = None
    """Of the ConfigMap; None where there is none, or it is somebody else's."""
    damage: str = ""
    """What somebody has done to it, where it has to be written anew."""

    def mended(self) -> tuple[Event, ...]:
        """What is told once it is written."""
        return (Event("Warning", "PlanMended", self.damage),) if self.damage else ()


async def read_plan(kube: Kube, job: Job) -> HeldPlan:
    """Its name has the job's uid in it, so one that nobody controls is ours, its owner taken away: without
    it, it would not go with the job."""
    name = plan_config_map_name(job.name, job.uid)
    raw = await kube.find(CONFIG_MAPS, name, job.namespace)
    owner = controller_of(raw) if raw else None
    if raw is None or (owner and owner["uid"] != job.uid):
        return HeldPlan()
    stored, damage = _document(raw, job.uid)
    if owner is None:
        damage = damage or f"ConfigMap {name} had lost its owner, this job"
    return HeldPlan(stored, raw["metadata"]["resourceVersion"], damage)


def _document(raw: Object, job_uid: str) -> tuple[StoredPlan, str]:
    """One that cannot be read counts as lost: pods, status and reports say enough to go on."""
    name, text = raw["metadata"]["name"], (raw.get("data") or {}).get(DOCUMENT_KEY)
    if text is None:
        return StoredPlan(), f"ConfigMap {name} had lost its key {DOCUMENT_KEY}: the plan was made anew"
    try:
        stored = StoredPlan.from_wire(text)
    except ValidationError as error:
        log.error("the stored plan cannot be read and is made anew: %s", error)
        return StoredPlan(), f"{DOCUMENT_KEY} in ConfigMap {name} could not be read: the plan was made anew"
    if stored.plan and stored.plan.job_uid != job_uid:
        return StoredPlan(), f"{DOCUMENT_KEY} in ConfigMap {name} was another job's: the plan was made anew"
    return stored, ""
