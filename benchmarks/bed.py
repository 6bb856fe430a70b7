"""The test bed: a lab with the operator in it, and one job that writes down its steps."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.evidence import explain
from benchmarks.steps import Journal, first_without
from benchmarks.waiting import wait_for
from edgelab.config import Images, Kind, LabConfig, NodeSpec, usual_images
from edgelab.demo.install import OPERATOR_NAMESPACE, install_operator, make_namespace
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain_protocol.status import JobStatus, NodeState

PROGRAM = Path(__file__).parent / "programs" / "journal.py"
NAMESPACE = "bench"
CLOUD = NodeSpec(name="cloud-1", kind="cloud", link="1000mbit")
BATCH = 128


def edges(
    *links: str,
    cpus: Sequence[float] | None = None,
    sites: Sequence[str] | None = None,
    kind: Kind = "edge",
) -> list[NodeSpec]:
    """Edge nodes edge-1, edge-2, ... with these links, processors and sites."""
    cpus, sites = cpus or [0.5] * len(links), sites or ["A"] * len(links)
    rows = enumerate(zip(links, cpus, sites, strict=True), start=1)
    return [
        NodeSpec(name=f"edge-{n}", kind=kind, link=link, cpu=cpu, site=site) for n, (link, cpu, site) in rows
    ]


@dataclass
class Bed:
    """One lab, one job at a time."""

    lab: Lab
    nodes: list[str]
    """Edge nodes."""
    namespace: str = NAMESPACE
    job: str = "journal"
    batch: int = BATCH
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.open_journal()

    def open_journal(self) -> None:
        """Begin a new journal, for another job, which has no pod yet."""
        self.journal = Journal({})
        for node in self.nodes:
            self.watch(node)
            self.journal.pass_over(node)

    def watch(self, node: str) -> None:
        """From now on the journal is read of this node too."""
        self.journal.logs[node] = self.lab.node(node).pod_logs

    # --- the job

    def train(self, *arguments: str, name: str = "journal", seconds: float = 120, **spec: Any) -> None:
        """Apply a job of the journal program with these arguments, and wait until all nodes train."""
        self.start(*arguments, name=name, **spec)
        self.wait_training(len(self.nodes), seconds)

    def start(self, *arguments: str, name: str = "journal", **spec: Any) -> None:
        """As `train`, without the wait."""
        self.job = name
        program = {"command": ["python", str(PROGRAM)], "args": ["--batch", str(self.batch), *arguments]}
        document = {
            "apiVersion": "edgetrain.io/v1alpha1",
            "kind": "EdgeTrainingJob",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"program": program, **spec},
        }
        self.lab.kubectl("apply", "-f", "-", stdin=json.dumps(document))

    def program_from_config_map(self, *arguments: str) -> dict[str, Any]:
        """The journal program as a person brings one, for images that this working tree is not in."""
        where = ("-n", self.namespace)
        if not self.lab.kubectl(*where, "get", "configmap", PROGRAM.stem, "--ignore-not-found", "-o", "name"):
            self.lab.kubectl(*where, "create", "configmap", PROGRAM.stem, f"--from-file=main.py={PROGRAM}")
        words = ["--batch", str(self.batch), *arguments]
        return {"source": {"configMap": {"name": PROGRAM.stem}}, "args": words}

    def end(self) -> None:
        """Delete the job and wait until its pods are gone, so that the next one has the nodes to itself."""
        self.lab.kubectl("-n", self.namespace, "delete", "etj", self.job, "--wait=true")
        wait_for(lambda: not self.pods(), 60, "the pods to go")
        self.journal.close()

    def status(self) -> JobStatus:
        text = self.lab.kubectl("-n", self.namespace, "get", "etj", self.job, "-o", "json")
        return JobStatus.model_validate(json.loads(text).get("status", {}))

    def events(self, reason: str) -> list[str]:
        """The messages of the job's Events of a reason; none of an earlier job's of its name."""
        uid = self.lab.kubectl("-n", self.namespace, "get", "etj", self.job, "-o", "jsonpath={.metadata.uid}")
        about = f"--field-selector=involvedObject.uid={uid},reason={reason}"
        text = self.lab.kubectl("-n", self.namespace, "get", "events", about, "-o", "json")
        return [event["message"] for event in json.loads(text)["items"]]

    def wait_training(self, count: int, seconds: float = 120) -> None:
        """Until `count` nodes train, by the job's status and by their newest steps."""
        began = time.time()

        def whole() -> bool:
            training = [n for n in self.status().nodes if n.state is NodeState.TRAINING]
            fresh = [s for s in self.journal.newest().values() if s.at > began and s.at > time.time() - 3]
            return len(training) >= count and len(fresh) >= count

        wait_for(whole, seconds, f"{count} nodes to train", every=0.3)

    def aggregator(self) -> str:
        """The aggregator's node."""
        return wait_for(lambda: self.status().aggregator, 60, "an aggregator", every=0.3)

    def goes_on_without(self, lost: str, began: float, seconds: float = 60) -> float:
        """Seconds from a loss, at `began`, to the first step committed without the lost node."""

        def look() -> float | None:
            return first_without(self.journal.read(), lost, began, len(self.nodes))

        return wait_for(look, seconds, f"a step without {lost}", every=0.02) - began

    # --- pods and their processes

    def all_pods(self) -> list[dict[str, Any]]:
        """The job's pods."""
        text = self.lab.kubectl(
            *("-n", self.namespace, "get", "pods", "-l", f"edgetrain.io/job-name={self.job}", "-o", "json")
        )
        return list(json.loads(text)["items"])

    def pods(self) -> dict[str, dict[str, Any]]:
        """The job's pods by node."""
        return {pod["spec"].get("nodeName", ""): pod for pod in self.all_pods()}

    def pod_uids(self) -> dict[str, str]:
        """Of the job's pods, by node: another one is another pod.

        Pods of a node that was removed count for nothing: Kubernetes collects them within a minute.
        """
        return {node: pod["metadata"]["uid"] for node, pod in self.pods().items() if node in self.nodes}

    def program_pid(self, node: str) -> int:
        """The user's program on a node, by this machine's numbers."""
        pod = self.pods()[node]["metadata"]["name"]
        for pid in self.lab.container_pids(node, self.namespace, pod, "trainer"):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if str(PROGRAM).encode() in words and b"edgetrain.supervisor" not in words:
                return pid
        raise LabError(f"the program does not run on {node}")

    def signal_program(self, node: str, number: int = signal.SIGKILL) -> float:
        """Signal the program on a node; returns the moment."""
        pid, now = self.program_pid(node), time.time()
        os.kill(pid, number)
        return now

    def signal_pod(self, node: str, number: int) -> float:
        """Signal all of a node's trainer container: supervisor and program; returns the moment."""
        pod = self.pods()[node]["metadata"]["name"]
        pids, now = self.lab.container_pids(node, self.namespace, pod, "trainer"), time.time()
        for pid in pids:
            os.kill(pid, number)
        return now

    # --- the operator

    def scale_operator(self, replicas: int) -> None:
        """0: kill the operator at once; else start it."""
        target = (
            "-n",
            OPERATOR_NAMESPACE,
            "scale",
            "deployment",
            "-l",
            "app.kubernetes.io/name=edgetrain-operator",
        )
        self.lab.kubectl(*target, f"--replicas={replicas}")
        if replicas == 0:
            self.lab.kubectl(
                *("-n", OPERATOR_NAMESPACE, "delete", "pod", "--all", "--grace-period=0", "--force"),
                timeout=60,
            )


@contextmanager
def bed(
    name: str, nodes: Sequence[NodeSpec], *, batch: int = BATCH, images: Images | None = None
) -> Iterator[Bed]:
    """A lab of a cloud node and these edge nodes, the operator installed; taken down in any case."""
    with bare_bed(name, nodes, batch=batch, images=images) as test:
        install_operator(test.lab, CLOUD.name)
        yield test


@contextmanager
def bare_bed(
    name: str, nodes: Sequence[NodeSpec], *, batch: int = BATCH, images: Images | None = None
) -> Iterator[Bed]:
    """As `bed`, without the operator. With real images the program comes by `program_from_config_map`."""
    # Whoever ends a run, such as timeout(1), shall find no lab left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lab = Lab(f"bench-{name}", say=lambda text: print(f"  {text}", flush=True))
    lab.down()
    try:
        lab.up(LabConfig(nodes=[CLOUD, *nodes], images=images or usual_images()))
        make_namespace(lab, NAMESPACE)
        test = Bed(lab, [node.name for node in nodes], batch=batch)
        try:
            yield test
        except (LabError, TimeoutError):
            # The lab is about to go, and with it all that tells why.
            explain(test, name)
            raise
    finally:
        lab.down()
