"""Jobs as they are found: what an API server holds of them, and what their workers report, all of it valid.

Each is made by the operator's own decisions, so that what is put wrong afterwards was right before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgetrain_operator.core.children import plan_config_map
from edgetrain_operator.core.model import Defaults, NodeView, PodView
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.pods import worker_pod
from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.names import EDGE_NODE_LABEL, GROUP, KIND, RUNTIME_PLURAL, TRAINER_CONTAINER, VERSION
from edgetrain_protocol.report import Checkpoint, TrainerState
from tests.support import rounds_world
from tests.support.mutations import copied
from tests.support.workloads import admit, queued
from tests.support.world import START, World, edge_node, going, trained

Raw = dict[str, Any]
PROGRAM = {"command": ["python", "-m", "train"]}
RICH: Raw = {
    "program": {"image": "registry.example/t:1", "args": ["--lr", "1"], "env": [{"name": "A", "value": "b"}]},
    "nodes": {"min": 2, "max": 3, "exclude": ["z"], "selector": {"matchLabels": {"zone": "north"}}},
    "overrides": [{"selector": {"matchLabels": {"gpu": "y"}}, "image": "registry.example/gpu:1"}],
    "template": {
        "metadata": {"labels": {"team": "vision"}, "annotations": {"note": "x"}},
        "spec": {
            "hostNetwork": True,
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [
                {
                    "name": "trainer",
                    "resources": {"limits": {"memory": "1Gi", "cpu": "500m"}},
                    "volumeMounts": [{"name": "d", "mountPath": "/dev/shm"}],
                }
            ],
            "initContainers": [{"name": "fetch", "command": ["true"], "restartPolicy": "Always"}],
            "volumes": [{"name": "d", "hostPath": {"path": "/data"}}],
            "securityContext": {"runAsUser": 1000},
        },
    },
    "storage": {"checkpoint": {"claim": {"size": "1Gi"}}, "model": {"uri": "file:///models"}},
    "strategy": {"payload": "int8", "reduction": "star", "checkpointEverySeconds": 5},
    "elastic": {"growth": "doubling", "leaveGraceSeconds": 1, "offlineGraceSeconds": 60},
    "runPolicy": {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 3600,
        "startDeadlineSeconds": 600,
        "ttlSecondsAfterFinished": 60,
        "cleanPodPolicy": "All",
    },
}
RUNTIME: Raw = {
    "program": {"image": "registry.example/gpu:7"},
    "storage": {"checkpoint": {"claim": {"size": "5Gi"}}},
    "mayChange": ["program", "nodes"],
}


@dataclass(frozen=True)
class Scene:
    job: Raw
    plan: Raw
    """Its ConfigMap."""
    nodes: tuple[Raw, ...]
    pods: tuple[Raw, ...]
    others: Mapping[str, Raw]
    """What else there is, by its plural: the job's Workload, its runtime."""
    reports: Mapping[str, Raw]
    """By worker."""
    rates: Mapping[str, NodeRate]
    reachable: Mapping[str, bool]
    defaults: Defaults
    now: float


def scene_of(world: World) -> Scene:
    seen = world.observed()
    meta = {"name": seen.job.name, "namespace": seen.job.namespace, "generation": 1}
    labels = {"labels": {"kueue.x-k8s.io/queue-name": world.queue}} if world.queue else {}
    manifest = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {**meta, **labels, "creationTimestamp": time_text(START)},
        "spec": {"program": PROGRAM} | world.spec,
        "status": world.status.to_wire(),
    }
    job = _versioned(manifest, seen.job.uid)
    return Scene(
        job=copied(job),
        plan=copied(_versioned(plan_config_map(seen.job, world.stored, None), "plan")),
        nodes=tuple(_node(view) for view in world.nodes.values()),
        pods=tuple(_pod(world, pod) for pod in world.pods.values()),
        others=_others(world, job),
        reports={worker: _report(said) for worker, said in world.reports.items()},
        rates=world.rates,
        reachable=world.reachable,
        defaults=world.defaults,
        now=world.now,
    )


def _versioned(raw: Raw, uid: str, **meta: Any) -> Raw:
    return {**raw, "metadata": {**raw["metadata"], "uid": uid, "resourceVersion": "0", **meta}}


def _others(world: World, job: Raw) -> Mapping[str, Raw]:
    found: dict[str, Raw] = {}
    if world.workload:
        owner = {"uid": job["metadata"]["uid"], "kind": KIND, "controller": True}
        meta = {**world.workload["metadata"], "ownerReferences": [owner]}
        found["workloads"] = copied({**world.workload, "metadata": meta})
    if held := world.runtime:
        meta = {"name": held.name, "uid": held.uid, "generation": held.generation}
        found[RUNTIME_PLURAL] = {"metadata": meta, "spec": held.spec}
    return found


def _node(view: NodeView) -> Raw:
    return {
        "metadata": {"name": view.name, "labels": dict(view.labels)},
        "spec": {"unschedulable": view.unschedulable},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if view.ready else "Unknown"}],
            "nodeInfo": {"kubeletVersion": view.kubelet},
        },
    }


def _pod(world: World, pod: PodView) -> Raw:
    seen = world.observed()
    manifest = worker_pod(
        seen.job, world.nodes.get(pod.node, NodeView(pod.node)), pod.attempt, world.defaults
    )
    leaving = {"deletionTimestamp": time_text(world.now)} if pod.deleting else {}
    made = _versioned(manifest, pod.uid, creationTimestamp=time_text(pod.created), **leaving)
    made["spec"]["nodeName"] = pod.node
    return copied({**made, "status": pod_status(pod.phase, ready=pod.ready)})


def pod_status(phase: str, *, ready: bool = True) -> Raw:
    """As its kubelet would have it."""
    state = {"running": {}} if phase == "Running" else {"waiting": {"reason": "ContainerCreating"}}
    return {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": TRAINER_CONTAINER, "state": state, "restartCount": 0}],
    }


def _report(said: StampedReport) -> Raw:
    parts = {"training": said.training, "measured": said.measured}
    return said.head.model_copy(update=parts).model_dump(mode="json", by_alias=True, exclude_none=True)


# --- the scenes


def _new() -> World:
    return World.of("a", "b", "c", nodes={"min": 2, "max": 2})


def _starting() -> World:
    world = _new()
    world.settle()
    world.say("a", TrainerState.STARTING)
    return world


def _training() -> World:
    return going(World.of("a", "b", "c", "d", nodes={"min": 2, "max": 3}), "a", "b", "c")


def _rich() -> World:
    world = World(spec=RICH)
    for node in "abc":
        world.nodes[node] = edge_node(node, labels={EDGE_NODE_LABEL: "", "zone": "north"})
    return _with_checkpoints(world)


def _with_checkpoints(world: World) -> World:
    going(world, "a", "b")
    kept = Checkpoint(**world.plan.history._asdict(), step=10, digest="d" * 64, path="/c/10", at=world.now)
    for node in "ab":
        said = world.reports[worker_name(node)].training
        assert said
        part = said.model_dump(exclude_unset=True) | {"checkpoint": kept, "checkpoints": (kept,)}
        part |= {"samples_per_second": 9.0, "loss": 0.5, "percent": 20.0, "metrics": {"acc": 0.9}}
        world.say(node, **{key: value for key, value in part.items() if key != "incarnation"})
    world.settle()
    return world


def _split() -> World:
    """Of four two are gone, and what is left has to begin anew."""
    world = trained("a", "b", "c", "d")
    world.remove_pod("c", "d")
    world.pass_time(7.0)
    world.pause("a", "b")
    world.step()
    return world


def _restarted() -> World:
    world = trained("a", "b", "c")
    world.crash("a", 2, "Traceback: ValueError")
    world.restart("a")
    world.settle()
    return world


def _suspended() -> World:
    world = trained("a", "b", nodes={"min": 2})
    world.spec = {**world.spec, "suspend": True}
    world.step()
    return world


def _ended() -> World:
    world = trained("a", "b")
    for node in "ab":
        world.say(node, TrainerState.FINISHED, step=50, model="/models/digits.safetensors")
    world.settle()
    return world


def _in_queue() -> World:
    return trained("a", "b", scheduling={"queue": "fleet", "priority": 1}, nodes={"min": 1, "max": 2})


def _by_kueue() -> World:
    world = queued("a", "b", nodes={"min": 1, "max": 2})
    admit(world, 2)
    return going(world, "a", "b")


def _with_runtime() -> World:
    world = World.of("a", "b", runtimeRef={"name": "gpu"})
    world.runtime = RuntimeVersion(name="gpu", uid="r", generation=1, spec=RUNTIME)
    return going(world, "a", "b")


def _rich_by_kueue() -> World:
    parts = {key: RICH[key] for key in ("template", "overrides", "runPolicy")}
    parts["overrides"] = [{**parts["overrides"][0], "resources": {"requests": {"memory": "2Gi"}}}]
    return queued("a", "b", nodes={"min": 1, "max": 2}, **parts)


def _merging(**how: Any) -> World:
    world = rounds_world.begun("abc", **how)
    rounds_world.hold(world, rounds_world.holders(world))
    rounds_world.merged(world, "abc", version=3, samples=300)
    world.settle()
    return world


def _strategy(**said: Any) -> World:
    return _merging(strategy=said)


SCENES: Mapping[str, Callable[[], World]] = {
    "new": _new,
    "starting": _starting,
    "training": _training,
    "rich": _rich,
    "split": _split,
    "restarted": _restarted,
    "suspended": _suspended,
    "ended": _ended,
    "in a queue": _in_queue,
    "by Kueue": _by_kueue,
    "rich, by Kueue": _rich_by_kueue,
    "singles": _merging,
    "sites": lambda: _merging(grouping="site", sites="xxy", nodes={"min": 2, "max": 3}),
    "own data": lambda: _merging(data={"policy": "local"}),
    "diloco": lambda: _strategy(preset="diloco"),
    "async": lambda: _strategy(preset="async", outerMomentum=0.5),
    "n-sync": lambda: _strategy(preset="n-sync", roundLimit=2),
    "deadline": lambda: _strategy(
        preset="fedavg", roundPolicy="deadline", roundLimit=9, mergeWeights="samples"
    ),
    "with a runtime": _with_runtime,
    "without its runtime": lambda: World.of("a", "b", runtimeRef={"name": "gpu"}),
}


@cache
def scene(name: str) -> Scene:
    return scene_of(SCENES[name]())
