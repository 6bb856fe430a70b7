"""The operator's process: every replica serves the fleet API and its own numbers; the leader reconciles."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from edgetrain_operator.fleet.external_certificate import Mount
from edgetrain_operator.fleet.keyring import ensure
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.kube.client import Credentials, Kube
from edgetrain_operator.runtime.control import Control
from edgetrain_operator.runtime.keyring_store import SecretKeyring
from edgetrain_operator.runtime.lease import LeaderElection, Times
from edgetrain_operator.runtime.metrics import Metrics
from edgetrain_operator.runtime.renewal import renew_for_ever
from edgetrain_operator.runtime.server import Server
from edgetrain_operator.settings import Settings


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; the process ends hard where the Lease is lost.

    Raises:
        BadCertificate: the certificate that was mounted for the fleet API cannot be used.
    """
    mount = Mount(settings.tls_dir) if settings.tls_dir else None
    given = mount.look(datetime.now(UTC)) if mount else None
    stop, lead = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    kube = await Kube.connect(Credentials(settings.kubeconfig), metrics.api_call)
    election = _election(settings, lambda: loop.call_soon_threadsafe(lead.set))
    store = SecretKeyring(kube, settings.own_namespace, settings.keyring_secret)
    keyring = await ensure(store, datetime.now(UTC))
    service = FleetService(keyring, election, port=settings.fleet_port, given=given)
    registry.register(service.collector)
    control = Control(settings, kube, service.fleet, metrics)
    server = Server(
        registry, control.relay.look, lambda: control.queue.oldest_seconds, settings.metrics_token_file
    )
    await server.start(settings.metrics_port)
    service.start()
    election.start()
    renewing = asyncio.create_task(renew_for_ever(store, mount, service))
    try:
        await _until_either(lead, stop)
        if lead.is_set() and not stop.is_set():
            metrics.leader.set(1)
            await control.run(stop)
    finally:
        # Give the Lease back last but one: while we still write, nobody else should begin.
        renewing.cancel()
        await asyncio.to_thread(election.stop)
        await asyncio.to_thread(service.stop)
        await server.stop()
        await kube.close()


def _election(settings: Settings, on_lead: Callable[[], object]) -> LeaderElection:
    times = Times()

    async def connect() -> Kube:
        return await Kube.connect(Credentials(settings.kubeconfig), seconds=times.request)

    return LeaderElection(
        connect,
        namespace=settings.own_namespace,
        name=settings.lease_name,
        identity=settings.identity,
        address=f"{settings.own_address}:{settings.fleet_port}",
        on_lead=on_lead,
        on_lost=_end_hard,
        times=times,
    )


def _end_hard() -> None:
    """Not sys.exit: that would wait for threads and for what the loop is stuck in."""
    logging.shutdown()
    os._exit(1)


async def _until_either(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
