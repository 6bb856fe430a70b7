"""Workers that should be heard and are not, in words that name the thing and the mend."""

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.model import PodView, Trouble
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.stored import WorkerRecord

NEVER_HEARD_SECONDS = 60.0
"""From the start of a worker's containers to its supervisor's first word, usually two seconds; and from its
last word, where its node is heard all the while."""
NOT_STARTED_SECONDS = 120.0
"""From a pod's making to its containers; fetching an image may take longer, which is worth a word."""
ADDRESS_MEND = (
    "see that this address reaches the operator's fleet API from the node "
    "(its name, firewalls, fleet.address of the chart)"
)


def silent(scene: DecisionContext, record: WorkerRecord, pod: PodView) -> Trouble | None:
    """Why it is not heard, where it should be."""
    return _not_started(scene, record, pod) or _unheard(scene, record, pod)


def _not_started(scene: DecisionContext, record: WorkerRecord, pod: PodView) -> Trouble | None:
    """The kubelet gives no reason while it fetches an image or waits for a volume: its events have it."""
    waited = scene.now - pod.created
    if pod.phase != "Pending" or pod.deleting or waited < NOT_STARTED_SECONDS or _has_run(record):
        return None
    view = scene.seen.nodes.get(pod.node)
    if view is not None and not view.ready:
        return Trouble("NodeNotReady", f"{pod.node}: its pod waits for the node to be Ready", pod.node)
    if pod.preparing:
        text = f"{pod.node}: its trainer waits for init container {pod.preparing}"
        return Trouble("NotStarted", f"{text}; `kubectl logs {pod.name} -c {pod.preparing}`", pod.node)
    text = f"no container runs {waited // 60 * 60:.0f} s after the pod was made: it may be fetching its image"
    return Trouble("NotStarted", f"{pod.node}: {text}; `kubectl describe pod {pod.name}` says more", pod.node)


def _has_run(record: WorkerRecord) -> bool:
    """It is pending again where its node has started anew."""
    return record.sighted.heard or record.sighted.running_since > 0


def _unheard(scene: DecisionContext, record: WorkerRecord, pod: PodView) -> Trouble | None:
    """Who should be heard, by all that its kubelet says of it: it runs, and has run for long enough."""
    view, sighting = scene.seen.nodes.get(record.node), record.sighted
    dark = view is not None and not view.ready
    if pod.phase != "Running" or pod.deleting or pod.idle or dark:
        return None
    since = record.silent_since if sighting.heard else sighting.running_since
    if not since or scene.now - max(since, scene.seen.since) < NEVER_HEARD_SECONDS:
        return None
    stamped, logs = scene.reports.report(worker_name(record.node)), f"`kubectl logs {pod.name} -c trainer`"
    reason = "NotHeard" if sighting.heard else "NeverHeard"
    what = "not heard" if sighting.heard else "its supervisor has never been heard"
    text = f"{record.node}: {what} since {time_text(since)}, though its node is Ready and its pod runs"
    if stamped is not None and scene.now - (stamped.measured_received or 0.0) < NEVER_HEARD_SECONDS:
        return Trouble(reason, f"{text} and its profiler is heard: see {logs}", record.node)
    return Trouble(reason, f"{text}: {_dials(scene, pod)}; see {logs}", record.node)


def _dials(scene: DecisionContext, pod: PodView) -> str:
    present = scene.seen.defaults.fleet_address
    dialled = pod.fleet_address or present
    if dialled != present:
        return f"it dials {dialled}, and the installation's address is {present} by now: delete its pod"
    return f"it dials {dialled}: {ADDRESS_MEND}"
