"""kopf, kept to what it is good at: the watches. Low-level handlers alone, so that it writes nothing.

No index (quadratic at start-up, and it keeps what was deleted while a watch was broken), no peering
(equal priorities freeze each other; the Lease is ours), no events, no finalizers. It runs in a thread
with a loop of its own: on its end it waits for, and cancels, whatever else it finds in its loop.
"""

import asyncio
import dataclasses
import os
import threading
from collections.abc import Callable
from typing import Any

import kopf

from edgetrain_operator.core.children import WORKER
from edgetrain_operator.core.kueue import workload
from edgetrain_operator.kube.resources import WORKLOADS
from edgetrain_operator.runtime.hints import Hints
from edgetrain_protocol.names import (
    COMPONENT_LABEL,
    EDGE_NODE_LABEL,
    GROUP,
    JOB_UID_LABEL,
    PLURAL,
    RUNTIME_PLURAL,
    VERSION,
)

WATCH_SECONDS = 300
"""A whole number: kopf writes it into the query as it is."""


def registry(hints: Hints, loop: asyncio.AbstractEventLoop, kueue: bool) -> kopf.OperatorRegistry:
    """Handlers that only pass hints on, into `loop`. `kueue`: of its Workloads too."""
    made = kopf.OperatorRegistry()

    def hand_over(take: Callable[..., None], *what: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(take, *what)

    @kopf.on.login(registry=made)
    def login(**kwargs: Any) -> Any:
        return _in_cluster(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=made)
    async def job(event: Any, **_: Any) -> None:
        hand_over(hints.job, event["type"], event["object"])

    @kopf.on.event("", "v1", "pods", registry=made)
    async def pod(event: Any, **_: Any) -> None:
        hand_over(hints.child, event["object"])

    @kopf.on.event("", "v1", "nodes", registry=made)
    async def node(event: Any, **_: Any) -> None:
        hand_over(hints.node, event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, RUNTIME_PLURAL, registry=made)
    async def runtime(event: Any, **_: Any) -> None:
        hand_over(hints.runtime, event["type"], event["object"])

    if kueue:

        @kopf.on.event(workload.GROUP, workload.VERSION, WORKLOADS.plural, registry=made)
        async def of_kueue(event: Any, **_: Any) -> None:
            hand_over(hints.child, event["object"])

    return made


def _in_cluster(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """At the address that the kubelet gives: kopf dials a name, and an edge cluster may have no DNS."""
    found, host = kopf.login_with_service_account(**kwargs), os.environ.get("KUBERNETES_SERVICE_HOST")
    if found is None or not host:
        return found
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return dataclasses.replace(found, server=f"https://{f'[{host}]' if ':' in host else host}:{port}")


def settings() -> kopf.OperatorSettings:
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.peering.standalone = True
    made.scanning.disabled = True
    made.watching.label_selectors["", "v1", "pods"] = f"{COMPONENT_LABEL}={WORKER}"
    made.watching.label_selectors["", "v1", "nodes"] = EDGE_NODE_LABEL
    made.watching.label_selectors[workload.GROUP, workload.VERSION, WORKLOADS.plural] = JOB_UID_LABEL
    made.watching.chunk_size = 500
    made.watching.server_timeout = WATCH_SECONDS
    # Beyond the server's: a half-open connection is noticed, a quiet one is not cut off.
    made.watching.client_timeout = WATCH_SECONDS + 30
    made.watching.connect_timeout = 5
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 5
    made.persistence.finalizer = f"{GROUP}/finalizer"
    return made


async def watch(hints: Hints, namespaces: tuple[str, ...], kueue: bool) -> None:
    """Watch until cancelled. `kueue`: its Workloads too.

    Raises:
        RuntimeError: a watch failed in a way that does not pass by itself.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    stop = threading.Event()

    def tell(error: BaseException | None) -> None:
        if not ended.done():
            ended.set_exception(RuntimeError(f"the watches ended: {error!r}"))

    def run() -> None:
        error: BaseException | None = None
        try:
            asyncio.run(_operator(registry(hints, loop, kueue), namespaces, stop))
        except BaseException as caught:
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, error)

    # A daemon: kopf takes seconds to end, in which it holds nothing that anybody waits for.
    threading.Thread(target=run, name="watch", daemon=True).start()
    try:
        await ended
    finally:
        stop.set()


async def _operator(
    handlers: kopf.OperatorRegistry, namespaces: tuple[str, ...], stop: threading.Event
) -> None:
    await kopf.operator(
        registry=handlers,
        settings=settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
