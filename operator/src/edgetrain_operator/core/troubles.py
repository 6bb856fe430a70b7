"""What keeps workers from running, in words that name the thing and the mend."""

from collections.abc import Iterator, Sequence

from edgetrain_operator.core import refusals
from edgetrain_operator.core.containers import command_of, image_of
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.divergence import REASON as LOSS_NOT_FINITE
from edgetrain_operator.core.divergence import diverged
from edgetrain_operator.core.model import ContainerTrouble, PodView, Trouble
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import OTHER_ARCHITECTURE
from edgetrain_operator.core.placement import matches
from edgetrain_operator.core.program_pin import differs
from edgetrain_operator.core.rounds.troubles import rounds_troubles
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.stored_signs import LastEnd
from edgetrain_operator.core.unheard import silent
from edgetrain_operator.core.words import clipped
from edgetrain_protocol.names import EDGE_NODE_LABEL, PROFILER_CONTAINER
from edgetrain_protocol.report import DISK_FAILED, DISK_SILENT, PROGRAM_DIFFERS, TrainerState

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
NODE_LEFT_OUT = "NodeLeftOut"
QUEUED = "Queued"
"""It waits for nodes that other jobs of its queue have."""
LAST_WORDS_MAX = 200
"""Of a node that is left out: they are stored, and stay for as long as it is."""
TEXT_MAX = 600
"""Of what somebody else wrote, in a message of ours."""
OTHERS_MAX = 5
"""Of further troubles, named in the message of the first."""

UNHEARD = frozenset({"NeverHeard", "NotHeard"})
MENDS = {
    LOSS_NOT_FINITE: "lower the learning rate or clip gradients in a new job",
    "ProfilerFailed": "see `kubectl logs` of its pod, container profiler",
    "OutOfMemory": "raise the container's memory limit in template.spec.containers or overrides, or use less",
    "CommandNotFound": "check program.command and what program.image holds",
    "ModelMismatch": "all workers must run the same program with the same settings",
    "InitContainerFailed": "see `kubectl logs` of its pod, and template.spec.initContainers",
    "EmptyDataset": "check storage.data and the program's data set on this node",
    "NoData": "see whether packets of full size pass both ways: a tunnel's MTU, a firewall, a NAT",
    "VolumesGone": "delete its pod when the group can spare it: the next one has volumes again",
    DISK_SILENT: "see whether the node's disk or card is worn out or overloaded",
    DISK_FAILED: "the next start takes part again if the disk can be written then",
    PROGRAM_DIFFERS: "undo the edit of the program's ConfigMap or image, or make a new job",
    "VolumeNotWritable": "check spec.storage, and as whom template.spec.securityContext has workers run",
    "ParametersDiffer": "keep such numbers in session.state, and prepare all that has state",
    "ModelNotSaved": "make room on spec.storage.model, or check who owns its directory",
    "StoreUnreachable": "the worker asks again until it answers: see the network, a proxy, the store",
    "StoreAccessDenied": "its keys come from the secret that the job names beside the uri",
    "CheckpointNotPushed": "those on the nodes are as they are; the next one is tried again",
    "SecretMissing": "the worker goes on once it is there",
    "VolumeFull": "see spec.storage, and what else is on the volume",
    "BadCheckpoint": "remove the damaged file, or point storage.checkpoint elsewhere",
}


def job_troubles(scene: DecisionContext) -> Iterator[Trouble]:
    """What concerns no node in particular."""
    if barred := scene.placement.barred:
        yield Trouble(barred.reason, f"no new worker is made: {barred.message}")
    for refusal in refusals.of_kind(scene.seen, "job").values():
        yield Trouble(refusal.reason, refusal.message)
    if scene.seen.program_missing:
        yield Trouble("ProgramMissing", scene.seen.program_missing)
    placement, spec = scene.placement, scene.seen.job.spec
    refused = refusals.of_nodes(scene.seen, placement.add)
    if refused and len(placement.wanted) - len(refused) < spec.nodes.min:
        yield Trouble(next(iter(refused.values())).reason, refusals.summary(refused))
    if placement.barred:
        return
    if scene.seen.grant is not None and scene.seen.grant.waits:
        yield Trouble(QUEUED, scene.seen.grant.waits)
        return
    if not placement.wanted and not placement.refused:
        yield Trouble("NoMatchingNodes", _no_match(scene))
    elif len(placement.wanted) < spec.nodes.min:
        why = "; ".join(f"{node}: {text}" for node, text in sorted(placement.refused.items())[:5])
        yield Trouble(
            "TooFewNodes",
            f"{len(placement.wanted)} nodes can have a worker and spec.nodes.min is {spec.nodes.min}"
            + (f" ({why})" if why else ""),
        )


def deletion_troubles(scene: DecisionContext) -> Iterator[Trouble]:
    """Pods that shall go and may not."""
    for refusal in refusals.of_kind(scene.seen, "pod").values():
        yield Trouble(refusal.reason, refusal.message)


def training_troubles(scene: DecisionContext) -> Iterator[Trouble]:
    """What is wrong with the training as a whole, and what it does without."""
    yield from rounds_troubles(scene)
    if text := diverged(scene):
        yield Trouble(LOSS_NOT_FINITE, f"{text}: {MENDS[LOSS_NOT_FINITE]}")
    for refusal in refusals.of_kind(scene.seen, "guard").values():
        yield Trouble(refusal.reason, refusal.message)


def node_trouble(scene: DecisionContext, worker: str) -> Trouble | None:
    """The newest that is known of a worker; its own word before the kubelet's."""
    record = scene.records[worker]
    if record.left_out:
        return left_out_trouble(record)
    refusal = refusals.of_nodes(scene.seen, scene.placement.add).get(record.node)
    if refusal:
        return Trouble(refusal.reason, f"{record.node}: {refusal.message}", record.node)
    pod = scene.pods.get(record.pod_uid)
    return (
        _reported(scene, worker)
        or (of_pod(scene, pod) if pod else None)
        or _warned(scene, worker)
        or _last_ended(record, settled=False)
        or (silent(scene, record, pod) if pod else None)
    )


def failure_trouble(scene: DecisionContext) -> Trouble | None:
    """Of the worker that has failed last, where one is known."""
    failed = [record for record in scene.records.values() if record.failures]
    found = [(_last_time(record), record.node, t) for record in failed if (t := _failure(scene, record))]
    return max(found, key=lambda item: item[:2])[2] if found else None


def others(troubles: Sequence[Trouble]) -> str:
    """What a message about the first of them adds about the rest."""
    rest = [f"{t.reason} on {t.node}" if t.node else t.reason for t in troubles[1:]]
    more = [f"{len(rest) - OTHERS_MAX} more"] if len(rest) > OTHERS_MAX else []
    return f" (also {', '.join([*rest[:OTHERS_MAX], *more])})" if rest else ""


def without_worker(scene: DecisionContext, refused: bool) -> str:
    """Nodes without a worker that people may miss one on, and why; empty where there are none.

    Args:
        refused: those too that match and can have none.
    """
    found = list(_strangers(scene))
    if refused:
        found += [f"{node}: {why}" for node, why in sorted(scene.placement.refused.items())]
    more = f"; and {len(found) - OTHERS_MAX} more" if len(found) > OTHERS_MAX else ""
    return f"without one: {'; '.join(found[:OTHERS_MAX])}{more}" if found else ""


def _strangers(scene: DecisionContext) -> Iterator[str]:
    """Nodes that had a worker, are there, and are no longer asked for."""
    spec = scene.seen.job.spec
    for record in sorted(scene.records.values(), key=lambda record: record.node):
        node = scene.seen.nodes.get(record.node) or scene.seen.strangers.get(record.node)
        if node is None or matches(node, spec) or node.name in spec.nodes.exclude:
            continue
        lacks = (
            "is not selected by spec.nodes.selector any more"
            if EDGE_NODE_LABEL in node.labels
            else f"lacks the label {EDGE_NODE_LABEL}"
        )
        yield f"{node.name} had one and {lacks}"


def _failure(scene: DecisionContext, record: WorkerRecord) -> Trouble | None:
    return _reported(scene, worker_name(record.node)) or _last_ended(record, settled=True)


def _last_time(record: WorkerRecord) -> float:
    return max((end.at for end in record.last_ends.values()), default=0.0)


def left_out_trouble(record: WorkerRecord) -> Trouble:
    """Of a node on which the program failed too often."""
    back = f"mend it and set that to {record.own_failures} or more, or name it in nodes.exclude for a while"
    text = (
        f"{record.node}: left out after {record.own_failures} failures (runPolicy.backoffLimitPerNode): "
        f"{record.left_out}; to have it back, {back}"
    )
    return Trouble(NODE_LEFT_OUT, text, record.node)


def _no_match(scene: DecisionContext) -> str:
    spec, edge = scene.seen.job.spec, sum(EDGE_NODE_LABEL in n.labels for n in scene.seen.nodes.values())
    if not edge:
        return f"no node carries the label {EDGE_NODE_LABEL}: label the edge nodes"
    if not spec.nodes.max:
        return "spec.nodes.max is 0: raise it to train"
    selector = spec.nodes.selector.model_dump_json(by_alias=True, exclude_defaults=True)
    return f"none of {edge} edge nodes is selected by {selector} and not excluded: label them, or change it"


def _reported(scene: DecisionContext, worker: str) -> Trouble | None:
    part, node = scene.reports.training(worker), scene.records[worker].node
    failed = part is not None and part.state is TrainerState.FAILED
    if not failed and (text := differs(scene, worker)):
        return _with_mend(PROGRAM_DIFFERS, text, node)
    if part is None or (part.state is not TrainerState.FAILED and not part.error_reason):
        return None
    reason = part.error_reason or "ProgramFailed"
    return _with_mend(reason, (part.error or "the program ended with an error").strip(), node)


def _warned(scene: DecisionContext, worker: str) -> Trouble | None:
    """What its training survives, as long as it says so."""
    part, node = scene.reports.training(worker), scene.records[worker].node
    if part is None or not part.warning_reason:
        return None
    return _with_mend(part.warning_reason, part.warning or "", node)


def _with_mend(reason: str, text: str, node: str) -> Trouble:
    mend = MENDS.get(reason)
    return Trouble(reason, f"{node}: {clipped(text, TEXT_MAX)}" + (f"; {mend}" if mend else ""), node)


def _last_ended(record: WorkerRecord, settled: bool) -> Trouble | None:
    """What ended last; `settled`: even where a later start has got ready since."""
    found = {c: end for c, end in record.last_ends.items() if settled or not end.settled}
    if not found:
        return None
    container, end = max(found.items(), key=lambda item: (item[1].at, item[0] != PROFILER_CONTAINER))
    return _with_mend(end.reason, _told(container, end), record.node)


def _told(container: str, end: LastEnd) -> str:
    words = end.words or "its last words are no longer kept"
    return f"profiler: {words}" if container == PROFILER_CONTAINER else words


def of_pod(scene: DecisionContext, pod: PodView) -> Trouble | None:
    """Why its containers do not run, by its kubelet or the scheduler."""
    if pod.trouble is None or not pod.living:
        return None
    why, node = pod.trouble, pod.node
    text = clipped(why.message, TEXT_MAX)
    image = why.image or image_of(scene.seen.job, scene.seen.nodes.get(node), scene.seen.defaults)
    if any(words in why.message for words in NO_PLATFORM):
        return Trouble("NoImageForArchitecture", f"{node}: {_foreign(scene, node, image)}: {text}", node)
    if why.reason in IMAGE:
        had = f"image {image} cannot be had ({why.reason}: {text})"
        mend = f"it is container {why.container}'s" if why.image else IMAGE_MEND
        return Trouble("ImagePullFailed", f"{node}: {had}; {mend}", node)
    if why.reason in START:
        return Trouble("CommandNotFound", f"{node}: {_start_text(scene, why, image)}: {text}", node)
    if why.reason == "Unschedulable":
        return Trouble("PodUnschedulable", f"{node}: {text}", node)
    return Trouble(why.reason, f"{node}: {why.container}: {text}", node)


def _foreign(scene: DecisionContext, node: str, image: str) -> str:
    view = scene.seen.nodes.get(node)
    kind = view.labels.get(ARCHITECTURE_LABEL, "its architecture") if view else "its architecture"
    mend = f"add that to its manifest list, or name another image for {ARCHITECTURE_LABEL} in spec.overrides"
    return f"image {image} is not built for {kind}: {mend}"


def _start_text(scene: DecisionContext, why: ContainerTrouble, image: str) -> str:
    if why.image:
        return f"container {why.container} of image {image} does not start: check its command"
    command = " ".join(command_of(scene.seen.job))[:200]
    return f"{why.container} of image {image} does not start with command {command}"
