"""What a job asks for on a class of nodes: its overrides, merged for one node.

All overrides whose selector holds for the node apply, in the order of the list: a later image, and later
resources as a whole, take the place of an earlier one's; env is merged by name and the later value stays;
tolerations add up.
"""

from dataclasses import dataclass
from typing import Any

from edgetrain_operator.core.model import NodeView
from edgetrain_operator.core.selectors import selects
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.pods import EnvVar


@dataclass(frozen=True)
class Overridden:
    """For one node; what is empty or None stays as the rest of the job says."""

    image: str | None = None
    env: tuple[EnvVar, ...] = ()
    """In the order of the overrides; of one name the last counts."""
    resources: dict[str, Any] | None = None
    tolerations: tuple[dict[str, Any], ...] = ()


def overridden(spec: JobSpec, node: NodeView) -> Overridden:
    """All of the job's overrides that are for this node, as one."""
    found = [override for override in spec.overrides if selects(override.selector, node.labels)]
    return Overridden(
        image=next((o.image for o in reversed(found) if o.image), None),
        env=tuple(variable for o in found for variable in o.env),
        resources=next((o.resources for o in reversed(found) if o.resources), None),
        tolerations=tuple(toleration for o in found for toleration in o.tolerations),
    )
