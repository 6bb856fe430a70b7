"""/metrics, /metrics/workers and /healthz, on a port of their own: probes have no token to show, scrapes may
have to."""

import asyncio
import hmac
import logging
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from edgetrain_operator.fleet.door import Door, Room

log = logging.getLogger(__name__)

STUCK_SECONDS = 300.0
KEEP_ALIVE_SECONDS = 5.0
CONNECTIONS = 64
CONNECTION_SECONDS = 60.0
"""Nobody proves anything here: whoever is connected for so long is no scraper."""


class Server:
    def __init__(
        self,
        registry: CollectorRegistry,
        workers: Callable[[], Callable[[], bytes]],
        oldest_seconds: Callable[[], float],
        token_file: Path | None = None,
    ) -> None:
        """
        Args:
            workers: takes what /metrics/workers shall show; its result draws the page, in another thread.
            oldest_seconds: how long the oldest job that is due has waited.
            token_file: holds what scrapes have to show, and is read at each, as it may be renewed.
        """
        self._registry, self._workers, self._oldest_seconds = registry, workers, oldest_seconds
        self._token_file = token_file
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/metrics/workers", self._relayed)
        app.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._door = Door(Room(strangers=CONNECTIONS, guests=0), seconds=CONNECTION_SECONDS)
        self.port = 0

    async def start(self, port: int) -> None:
        """Raises:
        OSError: the port is taken.
        """
        await self._runner.setup()
        await web.SockSite(self._runner, self._door.listen("", port)).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        self._check(request)
        return _page(generate_latest(self._registry))

    async def _relayed(self, request: web.Request) -> web.Response:
        self._check(request)
        # A thousand workers' page takes a good part of a second: no reconcile shall wait for it.
        return _page(await asyncio.to_thread(self._workers()))

    def _check(self, request: web.Request) -> None:
        """Raises:
        web.HTTPUnauthorized: the request lacks the token.
        """
        if self._token_file is None:
            return
        try:
            token = self._token_file.read_text().strip()
        except (OSError, ValueError) as error:
            log.warning("nobody may scrape: the token cannot be read: %s", error)
            token = ""
        shown = request.headers.get("Authorization", "").encode(errors="replace")
        if not token or not hmac.compare_digest(shown, f"Bearer {token}".encode()):
            raise web.HTTPUnauthorized(
                text="show the bearer token of metrics.auth, as the chart has it\n",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _healthz(self, _: web.Request) -> web.Response:
        """That this loop answers is half of it; that jobs do not wait for ever is the other."""
        oldest = self._oldest_seconds()
        if oldest > STUCK_SECONDS:
            return web.Response(status=500, text=f"a job has waited for {oldest:.0f} s\n")
        return web.Response(text="ok\n")


def _page(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
