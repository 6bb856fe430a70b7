"""What keeps workers from running, in words that name the thing and the mend."""

from collections.abc import Iterator
from dataclasses import dataclass

from edgetrain_operator.core.model import ContainerTrouble, PodView
from edgetrain_operator.core.observe import OTHER_ARCHITECTURE
from edgetrain_operator.core.pods import command_of, image_of
from edgetrain_operator.core.scene import Scene
from edgetrain_protocol.names import EDGE_NODE_LABEL
from edgetrain_protocol.report import DISK_FAILED, TrainerState

IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
NO_PLATFORM = (
    "no match for platform",
    "no matching manifest",
    "no image found in image index",
    OTHER_ARCHITECTURE,
)
"""What container runtimes say of a manifest list that has nothing for the node; what the kernel says of an
image that is not for it."""
START = frozenset({"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"})
ARCHITECTURE_LABEL = "kubernetes.io/arch"
IMAGE_MEND = "check program.image, and template.spec.imagePullSecrets where its registry asks for a login"
TEXT_MAX = 600
"""Of what somebody else wrote, in a message of ours."""

MENDS = {
    "ProgramFailed": "see `kubectl logs` of its pod, container trainer",
    "CommandNotFound": "check program.command and what program.image holds",
    "ModelMismatch": "all workers must run the same program with the same settings",
    "EmptyDataset": "check storage.data and the program's data set on this node",
    "NoData": "see whether packets of full size pass both ways: a tunnel's MTU, a firewall, a NAT",
    "VolumesGone": "delete its pod when the group can spare it: the next one has volumes again",
    DISK_FAILED: "the next start takes part again if the disk can be written then",
    "BadCheckpoint": "remove the damaged file, or point storage.checkpoint elsewhere",
}


@dataclass(frozen=True)
class Trouble:
    reason: str
    message: str
    node: str = ""


def job_troubles(scene: Scene) -> Iterator[Trouble]:
    """What concerns no node in particular."""
    if scene.seen.refusal:
        yield Trouble(scene.seen.refusal.reason, scene.seen.refusal.message[:TEXT_MAX])
    if scene.seen.program_missing:
        yield Trouble("ProgramMissing", scene.seen.program_missing)
    placement, spec = scene.placement, scene.seen.job.spec
    if not placement.wanted and not placement.refused:
        yield Trouble("NoMatchingNodes", _no_match(scene))
    elif len(placement.wanted) < spec.nodes.min:
        why = "; ".join(f"{node}: {text}" for node, text in sorted(placement.refused.items())[:5])
        yield Trouble(
            "TooFewNodes",
            f"{len(placement.wanted)} nodes can have a worker and spec.nodes.min is {spec.nodes.min}"
            + (f" ({why})" if why else ""),
        )


def node_trouble(scene: Scene, worker: str) -> Trouble | None:
    """The newest that is known of a worker; its own word before the kubelet's."""
    record = scene.records[worker]
    pod = scene.pods.get(record.pod_uid)
    return _reported(scene, worker) or (_of_pod(scene, pod) if pod else None)


def _no_match(scene: Scene) -> str:
    spec, edge = scene.seen.job.spec, sum(EDGE_NODE_LABEL in n.labels for n in scene.seen.nodes.values())
    if not edge:
        return f"no node carries the label {EDGE_NODE_LABEL}: label the edge nodes"
    if not spec.nodes.max:
        return "spec.nodes.max is 0: raise it to train"
    selector = spec.nodes.selector.model_dump_json(by_alias=True, exclude_defaults=True)
    return f"none of {edge} edge nodes is selected by {selector} and not excluded: label them, or change it"


def _reported(scene: Scene, worker: str) -> Trouble | None:
    part, node = scene.hearing.training(worker), scene.records[worker].node
    if part is None or (part.state is not TrainerState.FAILED and not part.error_reason):
        return None
    reason = part.error_reason or "ProgramFailed"
    text = (part.error or "the program ended with an error").strip()[-TEXT_MAX:]
    mend = MENDS.get(reason)
    return Trouble(reason, f"{node}: {text}" + (f"; {mend}" if mend else ""), node)


def _of_pod(scene: Scene, pod: PodView) -> Trouble | None:
    if pod.trouble is None or not pod.living:
        return None
    why, node = pod.trouble, pod.node
    text = why.message[:TEXT_MAX]
    image = image_of(scene.seen.job, scene.seen.nodes.get(node), scene.seen.defaults)
    if any(words in why.message for words in NO_PLATFORM):
        return Trouble("NoImageForArchitecture", f"{node}: {_foreign(scene, node, image)}: {text}", node)
    if why.reason in IMAGE:
        had = f"image {image} cannot be had ({why.reason}: {text})"
        return Trouble("ImagePullFailed", f"{node}: {had}; {IMAGE_MEND}", node)
    if why.reason in START:
        return Trouble("CommandNotFound", f"{node}: {_start_text(scene, why, image)}: {text}", node)
    if why.reason == "OOMKilled":
        return Trouble(
            "OutOfMemory",
            f"{node}: {why.container} ran out of memory: raise its limit, or shrink the batch",
            node,
        )
    if why.reason == "Unschedulable":
        return Trouble("PodUnschedulable", f"{node}: {text}", node)
    return Trouble(why.reason, f"{node}: {why.container}: {text}", node)


def _foreign(scene: Scene, node: str, image: str) -> str:
    view = scene.seen.nodes.get(node)
    kind = view.labels.get(ARCHITECTURE_LABEL, "its architecture") if view else "its architecture"
    mend = f"add that to its manifest list, or name another image for {ARCHITECTURE_LABEL} in spec.overrides"
    return f"image {image} is not built for {kind}: {mend}"


def _start_text(scene: Scene, why: ContainerTrouble, image: str) -> str:
    command = " ".join(command_of(scene.seen.job))[:200]
    return f"{why.container} of image {image} does not start with command {command}"
