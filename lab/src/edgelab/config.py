"""What a lab shall look like: names checked, the YAML file read. Pure apart from `read_config`."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edgelab.addresses import MAX_NODES
from edgelab.errors import LabError
from edgelab.rates import Link, parse_cpu, parse_link

Kind = Literal["edge", "cloud", "kubeedge"]
KINDS: tuple[Kind, ...] = ("edge", "cloud", "kubeedge")
Images = Literal["thin", "real"]
IMAGES: tuple[Images, ...] = ("thin", "real")

CONTROL_PLANE, HUB, CLOUDCORE = "control-plane", "hub", "cloudcore"
SITE_LABEL = "topology.edgetrain.io/site"
LINK_LABEL = "edgetrain.io/link"

# Of KubeEdge's nodes, cloudcore looks after those alone that have both roles.
_ROLES: dict[Kind, tuple[str, ...]] = {"edge": ("edge",), "cloud": ("cloud",), "kubeedge": ("edge", "agent")}

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_LAB, _LONGEST_NODE = 24, 40
_LABEL = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def check_lab_name(name: str) -> str:
    """The name itself, or LabError."""
    return _checked(name, "lab", _LONGEST_LAB)


def check_node_name(name: str) -> str:
    """The name itself, or LabError."""
    if name in (CONTROL_PLANE, HUB, CLOUDCORE):
        raise LabError(f"a node cannot be called {name!r}: the lab uses that name itself")
    return _checked(name, "node", _LONGEST_NODE)


def parse_label(text: str) -> tuple[str, str]:
    """`key=value` as a pair.

    Raises:
        LabError: Kubernetes would refuse it.
    """
    key, equals, value = text.partition("=")
    if not (equals and _LABEL.fullmatch(key) and _LABEL_VALUE.fullmatch(value)):
        raise LabError(f"{text!r} is no label: write key=value, such as zone=north")
    return key, value


class NodeSpec(BaseModel):
    """One node. `link` and `cpu` left out mean: as fast as the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, BeforeValidator(check_node_name)]
    kind: Kind = "edge"
    link: str | None = None
    cpu: Annotated[float, BeforeValidator(parse_cpu)] | None = None
    site: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, value in self.node_labels().items():
            parse_label(f"{key}={value}")
        return self

    @property
    def shape(self) -> Link | None:
        return parse_link(self.link) if self.link else None

    def node_labels(self) -> dict[str, str]:
        """The labels that the Node object carries beyond those that its kubelet sets."""
        labels = {"kubernetes.io/hostname": self.name}
        labels |= {f"node-role.kubernetes.io/{role}": "" for role in _ROLES[self.kind]}
        if self.site:
            labels[SITE_LABEL] = self.site
        if shape := self.shape:
            labels[LINK_LABEL] = str(shape).removesuffix("%")
        return labels | self.labels


def usual_images() -> Images:
    """What $EDGELAB_IMAGES says; thin where it says nothing.

    Raises:
        LabError: it says something else.
    """
    given = os.environ.get("EDGELAB_IMAGES") or "thin"
    found = next((kind for kind in IMAGES if kind == given), None)
    if found is None:
        raise LabError(f"EDGELAB_IMAGES is {given!r}: it may be {' or '.join(IMAGES)}")
    return found


class LabConfig(BaseModel):
    """A whole lab, as `edgelab up --config` reads it.

    `node_monitor_grace` (s): how long a node may be silent until it counts as NotReady. `images`: `thin` ones
    show this machine's programs and working tree, `real` ones are built from the Dockerfiles.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: list[NodeSpec] = Field(max_length=MAX_NODES)
    node_monitor_grace: float = Field(default=4.0, ge=2.0, le=600.0)
    images: Images = Field(default_factory=usual_images)

    def running(self, images: Images | None) -> Self:
        """The same with these images; as it is where None."""
        return self if images is None else self.model_copy(update={"images": images})

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [node.name for node in self.nodes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise LabError(f"two nodes are called {twice[0]!r}: each needs a name of its own")
        return self


def edge_nodes(count: int) -> LabConfig:
    """`count` unshaped edge nodes: edge-1, edge-2, ...

    Raises:
        LabError: more nodes than a lab has addresses for.
    """
    if not 0 <= count <= MAX_NODES:
        raise LabError(f"{count} nodes: a lab holds 0 to {MAX_NODES}")
    return LabConfig(nodes=[NodeSpec(name=f"edge-{number}") for number in range(1, count + 1)])


def make_node(**fields: Any) -> NodeSpec:
    """A NodeSpec from what a person gave.

    Raises:
        LabError: a field is nonsense; the text names it.
    """
    try:
        return NodeSpec(**fields)
    except ValidationError as wrong:
        raise LabError(_describe(wrong)) from None


def read_config(path: Path) -> LabConfig:
    """Read a lab's YAML file.

    Raises:
        LabError: unreadable, or a field is missing, unknown or nonsense; the text names it.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as problem:
        raise LabError(f"cannot read {path}: {problem}") from None
    try:
        return LabConfig.model_validate(content)
    except ValidationError as wrong:
        raise LabError(f"{path}: {_describe(wrong)}") from None


def _checked(name: str, what: str, longest: int) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} is no {what} name: use lower-case letters, digits and dashes, such as edge-1"
        )
    if len(name) > longest:
        raise LabError(f"the {what} name {name!r} is too long: {len(name)} characters, at most {longest}")
    return name


def _describe(wrong: ValidationError) -> str:
    first = wrong.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
