"""The acts of `make demo-sites`: who leads the rounds is lost; a site is cut off, and comes back. Pure."""

from edgelab.demo.acts import Act
from edgetrain_protocol.status import JobStatus

CUT_SITE = "B"


def lead(status: JobStatus) -> str:
    """Node of the holder that leads the log of rounds; empty while none is known."""
    return status.rounds.lead if status.rounds else ""


def held_by_three(status: JobStatus) -> bool:
    return status.rounds is not None and len(status.rounds.holders) >= 3 and bool(lead(status))


def versions(status: JobStatus, before: JobStatus) -> int:
    """That have been made since."""
    return status.progress.version - before.progress.version


LEAD_LOST = Act(
    name="lead lost",
    due=lambda status: held_by_three(status) and status.progress.version >= 4,
    target=lead,
    overcome=lambda status, node, before: lead(status) not in ("", node) and versions(status, before) >= 3,
    says="cut the power of {node}, which leads the rounds",
    said_after="another leads, and versions go on without {node}",
)
LEAD_BACK = Act(
    name="back on",
    due=lambda status: True,
    target=lambda status: "",
    overcome=lambda status, node, before: versions(status, before) >= 2,
    says="give it its power back",
    said_after="it reads the log, and trains along",
)
SITE_CUT = Act(
    name="site cut off",
    due=lambda status: held_by_three(status),
    target=lambda status: CUT_SITE,
    overcome=lambda status, node, before: versions(status, before) >= 4,
    says="cut site {node} off from all others",
    said_after="the others went on; site {node} trains on what it holds",
)
SITE_BACK = Act(
    name="site back",
    due=lambda status: True,
    target=lambda status: CUT_SITE,
    overcome=lambda status, node, before: versions(status, before) >= 4,
    says="mend the links of site {node}",
    said_after="site {node} has brought its work, and goes on from the newest version",
)
ACTS = (LEAD_LOST, LEAD_BACK, SITE_CUT, SITE_BACK)
