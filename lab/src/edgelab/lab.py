"""A lab, as tests, benchmarks and the command line use it."""

import concurrent.futures
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from edgelab import cgroups, cloudcore, lifecycle, machines, network, nodes, shaping
from edgelab.barriers import Content, Cut, Way, nft_rules
from edgelab.cluster import Cluster
from edgelab.config import LabConfig, NodeSpec, check_lab_name
from edgelab.errors import LabError
from edgelab.network import LinkBytes
from edgelab.programs.acquire import Programs, acquire
from edgelab.programs.pinned import KUBEEDGE
from edgelab.programs.setup import check_machine, set_up
from edgelab.rates import parse_link
from edgelab.real_images.build import ensure_built
from edgelab.shell import Argument, run
from edgelab.state import LabFiles, NodeFiles, NodeRecord
from edgelab.status import LabStatus, read_status

DEFAULT_NAME = "edgelab"
# Two cores start two nodes as fast as all at once, and the first ones are ready sooner.
_STARTED_AT_ONCE = 2


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Lab:
    """One lab by name. Holds nothing open: any process may make another one of the same name.

    Every method raises LabError with a text that says what is wrong and what to do. `say` gets a line for
    each thing that a person would want to see happen.
    """

    name: str = field(default_factory=lambda: os.environ.get("EDGELAB_NAME", DEFAULT_NAME))
    say: Callable[[str], None] = _silent

    def __post_init__(self) -> None:
        check_lab_name(self.name)

    @property
    def files(self) -> LabFiles:
        return LabFiles.of(self.name)

    @property
    def kubeconfig(self) -> Path:
        return self.files.kubeconfig

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON event a line."""
        return self.files.audit_log

    def up(self, config: LabConfig) -> None:
        """Bring up the control plane and all nodes, and wait until they are Ready. A torn lab is replaced."""
        programs = set_up(self.say) | self._programs_for(config.nodes)
        real_images = ensure_built(self.say) if config.images == "real" else None
        with self.files.locked():
            if lifecycle.is_up(self.name, self.files):
                raise LabError(
                    f"lab {self.name!r} is up already: use it, or `edgelab down --name {self.name}` first"
                )
            self.say("starting the control plane")
            lifecycle.begin(self.name, self.files, programs, config.node_monitor_grace, real_images)
            # All at once, before any starts: addresses follow the configuration's order.
            cluster = self._record_nodes(config.nodes, programs)
        self._join_all(cluster, config.nodes)

    def down(self) -> None:
        """Remove everything of the lab, also what a crash left behind. Nothing there is no error."""
        check_machine()
        with self.files.locked():
            lifecycle.end(self.name, self.files)

    def status(self) -> LabStatus:
        return read_status(self._cluster())

    def node_add(self, spec: NodeSpec) -> None:
        """Add a node and wait until it is Ready."""
        programs = self._programs_for([spec])
        with self.files.locked():
            cluster = self._record_nodes([spec], programs)
        self._join(cluster, spec)

    def node_start(self, name: str) -> None:
        """Start a node that is off, on the disk that it had; wait until it is Ready, unless it is cut off."""
        self._power_on(self._cluster(), name)

    def node_stop(self, name: str) -> None:
        """Shut a node down: its containers are asked to end and get some seconds for it."""
        nodes.power_off(self._cluster(), name, cleanly=True)

    def node_kill(self, name: str) -> None:
        """Cut a node's power: all of it ends at once, and nothing is told to anyone."""
        nodes.power_off(self._cluster(), name, cleanly=False)

    def node_remove(self, name: str) -> None:
        """Remove a node for good: power, disk and Node object."""
        cluster = self._cluster()
        cluster.node(name)
        nodes.erase(cluster, name)
        with self._changing() as cluster:
            cluster.record.reconnect([name])
            cluster.record.nodes.pop(name, None)
            self._bar(cluster)

    def link(self, name: str, rate: str) -> None:
        """Shape a node's link anew, in both directions; it keeps the rate when it is started again."""
        shape = parse_link(rate)
        with self._changing() as cluster:
            record = cluster.node(name)
            record.spec = record.spec.model_copy(update={"link": rate})
        if cluster.is_on(name):
            self._warn(shaping.shape(self.name, cluster.record.addresses, name, record.number, shape))

    def partition(self, *names: str) -> None:
        """Cut these nodes off from all but each other: from control plane and machine too."""
        if not names:
            raise LabError("a partition needs at least one node")
        with self._changing() as cluster:
            for name in names:
                cluster.node(name)
            cluster.record.leave_partitions(names)
            cluster.record.partitions.append(list(dict.fromkeys(names)))
            self._bar(cluster)

    def offline(self, *names: str) -> None:
        """Cut edge nodes off from the cloud (control plane, cloud nodes, machine): they keep one another."""
        with self._changing() as cluster:
            for name in names:
                if cluster.node(name).spec.kind == "cloud":
                    raise LabError(f"{name!r} is in the cloud: only edge nodes can be offline")
            cluster.record.offline += [name for name in names if name not in cluster.record.offline]
            self._bar(cluster)

    def cut(
        self, node: str, *peers: str, way: Way = "both", above: int | None = None, only: Content | None = None
    ) -> None:
        """Drop, until `heal`, what passes between a node and these (none: every other edge node), or a part.

        `way` out is what the node sends, in what is sent to it; `above`: larger packets alone (bytes); `only`
        the supervisors' control channel, the data: all but that, or calls: new connections.
        """
        with self._changing() as cluster:
            for name in (node, *peers):
                cluster.node(name)
            cluster.record.cuts += [
                Cut(node=node, peer=peer, way=way, above=above, only=only) for peer in peers or (None,)
            ]
            self._bar(cluster)

    def heal(self, *names: str) -> None:
        """End what cuts these nodes off, or all nodes."""
        with self._changing() as cluster:
            for name in names:
                cluster.node(name)
            cluster.record.reconnect(names or cluster.record.nodes)
            self._bar(cluster)

    def node(self, name: str) -> NodeFiles:
        """A node's directories."""
        self._cluster().node(name)
        return self.files.node(name)

    def netns(self, name: str) -> str:
        """Name of a node's network namespace, as `ip netns` knows it."""
        return network.netns(self.name, name)

    def cgroup(self, name: str) -> str:
        """The control group of a node's pods, below each hierarchy's mount."""
        return cgroups.pods_group(self.name, name)

    def address(self, name: str) -> str:
        """A node's InternalIP, which this machine reaches, NodePorts included."""
        cluster = self._cluster()
        return str(cluster.record.addresses.node(cluster.node(name).number))

    @property
    def control_plane_address(self) -> str:
        """The control plane's address, which pods and this machine reach."""
        return str(self._cluster().record.addresses.control_plane)

    def link_bytes(self, name: str) -> LinkBytes:
        """What the node's link has carried since the node was started."""
        return network.link_bytes(self.name, self._cluster().node(name).number)

    def kubectl(self, *arguments: Argument, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Run kubectl as administrator and return what it printed."""
        return self._tool("kubectl", arguments, stdin, timeout)

    def helm(self, *arguments: Argument, timeout: float = 120.0) -> str:
        """Run helm as administrator and return what it printed."""
        return self._tool("helm", arguments, None, timeout)

    def exec_on(
        self, name: str, argv: Sequence[Argument], *, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in all of a node's namespaces. Its failing is the caller's to judge."""
        words = list(map(str, machines.entering(self._first_process(name), argv)))
        return subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )

    def container_pids(self, name: str, namespace: str, pod: str, container: str) -> list[int]:
        """Processes of a running container by this machine's own numbers; its first process leads."""
        identity = nodes.container_id(self._cluster().api, namespace, pod, container)
        pids = cgroups.container_processes(cgroups.find_hierarchies(), self.name, name, identity)
        if not pids:
            raise LabError(
                f"container {container!r} of pod {namespace}/{pod} has no process on node {name!r}"
            )
        return pids

    def container_pid(self, name: str, namespace: str, pod: str, container: str) -> int:
        """A running container's first process, by this machine's own numbers: to signal it from outside."""
        return self.container_pids(name, namespace, pod, container)[0]

    def _cluster(self) -> Cluster:
        record = self.files.load()
        if record is None or not record.ready:
            raise LabError(f"lab {self.name!r} is not up: `edgelab up --name {self.name}` first")
        return Cluster(self.name, self.files, record)

    def _programs_for(self, specs: Sequence[NodeSpec]) -> Programs:
        """What these nodes need beyond what every lab has."""
        return acquire(self.say, [KUBEEDGE]) if any(spec.kind == "kubeedge" for spec in specs) else {}

    def _record_nodes(self, specs: Sequence[NodeSpec], programs: Programs) -> Cluster:
        cluster = self._cluster()
        cluster.record.programs.update(programs)
        for spec in specs:
            if spec.name in cluster.record.nodes:
                raise LabError(f"lab {self.name!r} has a node {spec.name!r} already: choose another name")
            cluster.record.nodes[spec.name] = NodeRecord(number=cluster.record.free_number(), spec=spec)
        self.files.save(cluster.record)
        if program := programs.get("cloudcore"):
            cloudcore.ensure_running(cluster, program, self.say)
        return cluster

    def _join_all(self, cluster: Cluster, specs: Sequence[NodeSpec]) -> None:
        pool = concurrent.futures.ThreadPoolExecutor(_STARTED_AT_ONCE)
        try:
            list(pool.map(lambda spec: self._join(cluster, spec), specs))
        finally:
            # After a failure, or Ctrl-C, those that wait for their turn are not started any more.
            pool.shutdown(cancel_futures=True)

    def _join(self, cluster: Cluster, spec: NodeSpec) -> None:
        nodes.register(cluster, spec)
        self._power_on(cluster, spec.name)

    @contextmanager
    def _changing(self) -> Iterator[Cluster]:
        with self.files.locked():
            cluster = self._cluster()
            yield cluster
            self.files.save(cluster.record)

    def _power_on(self, cluster: Cluster, name: str) -> None:
        since: datetime = nodes.now()
        self.say(f"starting node {name}")
        self._warn(nodes.power_on(cluster, name))
        if not cluster.record.is_cut_off(name):
            nodes.wait_ready(cluster, name, since)

    def _bar(self, cluster: Cluster) -> None:
        record = cluster.record
        links = {name: network.port(node.number) for name, node in record.nodes.items()}
        away = [links[name] for name, node in record.nodes.items() if node.spec.kind == "cloud"]
        cloud = [*network.CLOUD_PORTS, *away]
        rules = nft_rules(record.partitions, record.offline, record.cuts, links, cloud)
        network.set_rules(self.name, rules)

    def _first_process(self, name: str) -> int:
        self._cluster().node(name)
        pid = machines.first_process(self.netns(name))
        if pid is None:
            raise LabError(f"node {name!r} is off: `edgelab node start {name} --name {self.name}`")
        return pid

    def _tool(self, tool: str, arguments: Sequence[Argument], stdin: str | None, timeout: float) -> str:
        program = self._cluster().record.programs[tool]
        return run([program, "--kubeconfig", self.kubeconfig, *arguments], stdin=stdin, timeout=timeout)

    def _warn(self, lacking: str | None) -> None:
        if lacking:
            self.say(f"warning: {lacking}")
