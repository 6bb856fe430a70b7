"""The operator's reconciling part on a real API server, one look at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from edgetrain_operator.core.model import Defaults
from edgetrain_operator.kube.client import Credentials, Kube
from edgetrain_operator.kube.errors import Conflict, from_status
from edgetrain_operator.kube.resources import NODES
from edgetrain_operator.runtime.metrics import Metrics
from edgetrain_operator.runtime.node_table import NodeTable
from edgetrain_operator.runtime.reconcile import Reconciler
from edgetrain_protocol.names import EDGE_NODE_LABEL
from tests.support.apiserver import ApiServer
from tests.support.objects import get, items
from tests.support.scripted_fleet import ScriptedFleet

T = TypeVar("T")
DEFAULTS = Defaults("registry.example/edgetrain:test", "fleet.example:8443")


class Crash(Exception):
    """The process dies here."""


Send = Callable[[], Awaitable[Any]]
Around = Callable[[str, str, Send], Awaitable[Any]]
"""Told of a call, by method and path, and of what sends it: to do so, or something else."""


class FailingKube(Kube):
    """A connection that ends after so many writes, as that of a process that is killed does."""

    writes_left = 10**9
    busy = ""
    """Plural of what the API server takes none of, for trouble of its own."""
    around: Around | None = None

    async def _send(self, method: str, path: str, *rest: Any) -> Any:
        if self.busy and method == "POST" and path.endswith(f"/{self.busy}"):
            raise from_status(429, b'{"message": "too many requests"}', path, retry_after="7")
        if method != "GET":
            if self.writes_left <= 0:
                raise Crash
            self.writes_left -= 1

        async def send() -> Any:
            return await super(FailingKube, self)._send(method, path, *rest)

        return await (self.around(method, path, send) if self.around else send())


class Replica:
    """One operator's reconciling part."""

    def __init__(
        self,
        kube: FailingKube,
        fleet: ScriptedFleet,
        defaults: Defaults = DEFAULTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.kube, self.fleet, self.nodes = kube, fleet, NodeTable()
        self.ahead = 0.0
        """Seconds of which its clock is ahead."""
        metrics = Metrics(CollectorRegistry())
        self.reconciler = Reconciler(kube, self.nodes, fleet, defaults, metrics, lambda: clock() + self.ahead)

    async def look(self) -> None:
        """What the sweep does."""
        self.nodes.sweep([raw async for raw in self.kube.list(NODES, None, EDGE_NODE_LABEL)])

    async def settle(self, namespace: str, name: str = "digits", steps: int = 6) -> None:
        for _ in range(steps):
            await self.look()
            try:
                await self.reconciler.reconcile((namespace, name))
            except Conflict:
                continue


def with_replicas(
    api: ApiServer,
    fleet: ScriptedFleet,
    *tasks: Callable[[Replica], Awaitable[T]],
    defaults: Defaults = DEFAULTS,
) -> list[T]:
    """Run each task with an operator of its own, all at the same time."""

    async def one(task: Callable[[Replica], Awaitable[T]]) -> T:
        kube = await FailingKube.connect(Credentials(str(api.kubeconfig)))
        assert isinstance(kube, FailingKube)
        try:
            return await task(Replica(kube, fleet, defaults))
        finally:
            await kube.close()

    async def all_of_them() -> list[T]:
        return list(await asyncio.gather(*(one(task) for task in tasks)))

    return asyncio.run(all_of_them())


def settle(
    api: ApiServer, fleet: ScriptedFleet, namespace: str, defaults: Defaults = DEFAULTS, name: str = "digits"
) -> None:
    """A new operator comes, does what is to be done, and goes."""
    with_replicas(api, fleet, lambda replica: replica.settle(namespace, name), defaults=defaults)


def pod_on(api: ApiServer, namespace: str, node: str) -> dict[str, Any]:
    pods = [
        p for p in items(api, "pods", namespace) if p["metadata"]["annotations"]["edgetrain.io/node"] == node
    ]
    return max(pods, key=lambda pod: int(pod["metadata"]["labels"]["edgetrain.io/attempt"]))


def condition(api: ApiServer, namespace: str, kind: str) -> dict[str, Any]:
    status = get(api, "etj", "digits", namespace)["status"]
    (found,) = [c for c in status["conditions"] if c["type"] == kind]
    return dict(found)
