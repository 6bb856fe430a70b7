"""The demos that there are: their fleets, their jobs, what happens, and how it is done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgelab.config import NodeSpec
from edgelab.demo import acts, sites
from edgelab.demo.acts import Act
from edgelab.demo.install import EXAMPLE, REPOSITORY
from edgelab.lab import Lab
from edgetrain_protocol.status import JobStatus

Perform = Callable[[Lab, str, JobStatus], None]
"""Of (lab, the act's node, the status when it begins)."""
CHOKED = "8mbit"
BEHIND_NAT = "edge-5"


@dataclass(frozen=True)
class Showing:
    nodes: Path
    manifest: Path
    acts: Sequence[Act]
    perform: Mapping[str, Perform]
    """By the act's name."""
    newcomers: Sequence[NodeSpec] = ()
    options: Sequence[str] = ()
    """Of the chart."""
    prepare: Callable[[Lab], None] = lambda lab: None


def _file(name: str) -> Path:
    return Path(__file__).with_name(name)


NEWCOMER = NodeSpec(name=acts.SPARE, link="50mbit", cpu=0.4, site="A")
ONE_GROUP = Showing(
    _file("nodes.yaml"),
    EXAMPLE,
    acts.ACTS,
    {
        acts.POWER_CUT.name: lambda lab, node, status: lab.node_kill(node),
        acts.JOIN.name: lambda lab, node, status: lab.node_add(NEWCOMER),
        acts.CHOKE.name: lambda lab, node, status: lab.link(node, CHOKED),
    },
    newcomers=(NEWCOMER,),
)


def _let_nobody_call(lab: Lab) -> None:
    lab.cut(BEHIND_NAT, way="in", only="calls")


def _power_on(lab: Lab, node: str, status: JobStatus) -> None:
    for view in lab.status().nodes:
        if view.power == "off":
            lab.node_start(view.name)


def _cut_off(lab: Lab, site: str, status: JobStatus) -> None:
    within = {line.node for line in status.nodes if line.site == site}
    for node in within:
        lab.cut(node, *({line.node for line in status.nodes} - within))


def _mend(lab: Lab, site: str, status: JobStatus) -> None:
    lab.heal()
    _let_nobody_call(lab)


SITES = Showing(
    _file("sites.yaml"),
    REPOSITORY / "examples" / "sites.yaml",
    sites.ACTS,
    {
        sites.LEAD_LOST.name: lambda lab, node, status: lab.node_kill(node),
        sites.LEAD_BACK.name: _power_on,
        sites.SITE_CUT.name: _cut_off,
        sites.SITE_BACK.name: _mend,
    },
    options=("--set", "featureGates.grouping=true"),
    prepare=_let_nobody_call,
)
