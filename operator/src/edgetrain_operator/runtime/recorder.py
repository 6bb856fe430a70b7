"""Events on jobs. Told after what they tell of was written; a lost one is no harm, a wrong one is."""

import logging
import secrets
from collections.abc import Iterable

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.model import Job
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.kube.client import Kube, Object
from edgetrain_operator.kube.errors import KubeError
from edgetrain_operator.kube.resources import EVENTS, JOBS

MESSAGE_MAX = 1024
COMPONENT = "edgetrain-operator"

log = logging.getLogger(__name__)


async def record(kube: Kube, job: Job, events: Iterable[Event], now: float) -> None:
    """Post the events."""
    for event in events:
        log.info("%s/%s: %s: %s", job.namespace, job.name, event.reason, event.message)
        try:
            await kube.create(EVENTS, _body(job, event, now))
        except KubeError as error:
            log.warning("an event was lost: %s", error)


def _body(job: Job, event: Event, now: float) -> Object:
    at = time_text(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{job.name[:200]}.{secrets.token_hex(8)}", "namespace": job.namespace},
        "involvedObject": {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "name": job.name,
            "namespace": job.namespace,
            "uid": job.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:MESSAGE_MAX],
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
    }
