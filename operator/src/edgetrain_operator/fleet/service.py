"""The fleet API as it runs in the operator's process: a thread with a loop of its own.

Not the operator's loop: a long reconcile there must not delay a report, which would make a worker look
lost; nor may the handshakes of a thousand workers after a restart delay the reconcile. What crosses
over is small and behind `Fleet`'s lock.
"""

import asyncio
import logging
import socket
import threading
import time
from datetime import UTC, datetime

import uvicorn

from edgetrain_operator.fleet import ca, tls
from edgetrain_operator.fleet.app import create_app
from edgetrain_operator.fleet.door import Door, Room, room_within
from edgetrain_operator.fleet.external_certificate import Offer
from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.forward import Leadership, ToLeader
from edgetrain_operator.fleet.keyring import Keyring
from edgetrain_operator.fleet.metrics import FleetCollector
from edgetrain_operator.fleet.requests import Counted, Requests
from edgetrain_operator.fleet.shown import Shown
from edgetrain_protocol.names import FLEET_PORT, MODEL_DIR

KEEP_ALIVE_SECONDS = 75
START_SECONDS = 20.0
FAREWELL_SECONDS = 0.5
STRANGERS = 1024
"""Connections without a token yet, 40 KB each; a fleet that comes back at once is through in seconds."""
GUESTS = 4096
"""A worker has two: one for reports, one that waits for the plan."""
STRANGER_SECONDS = 10.0

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A closed TLS connection waits for the peer's farewell, which a dark node never sends.
        cut = asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._cut)
        await super().shutdown(sockets)
        cut.cancel()

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class FleetService:
    """Serves `fleet` over TLS.

    The operator's part::

        keyring = await ensure(store, datetime.now(UTC))     # keyring.ensure, with a KeyringStore on a Secret
        service = FleetService(keyring, leadership)
        registry.register(service.collector)
        service.start()                                      # service.fleet is the FleetState
        ... hourly: service.use(await ensure(store, now))    # renews certificates without a restart
        ... every few seconds, where a certificate is given: service.use_given(mount.look(now))
        service.stop()
    """

    def __init__(
        self,
        keyring: Keyring,
        leadership: Leadership,
        host: str = "",
        port: int = FLEET_PORT,
        given: Offer | None = None,
        models: str = MODEL_DIR,
    ) -> None:
        """`given`: a certificate to serve instead of one of our own authority's; `models`: where workers
        save theirs."""
        self.fleet = Fleet(keyring, given_authorities=given.authorities if given else "", models=models)
        self._host, self._port = host, port
        self.door = Door(room_within(Room(STRANGERS, GUESTS)), seconds=STRANGER_SECONDS)
        requests = Requests()
        self.collector = FleetCollector(self.fleet, requests, self.door, self._certificates)
        self._given = given is not None
        self._serving = given.pair if given else _own_certificate(keyring)
        self._tls = tls.ServerTls(self._serving)
        self._app = ToLeader(create_app(self.fleet), leadership, self.fleet)
        config = uvicorn.Config(
            Counted(Shown(self._app, self.fleet, self.door), requests),
            ssl_context_factory=lambda *_: self._tls.context,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=2,
            lifespan="off",
            access_log=False,
            log_config=None,
            ws="none",
            # Who is connected is what the socket says: a header would let anybody be somebody else.
            proxy_headers=False,
        )
        self._server = _Server(config)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet-api", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens; of use where 0 was asked for."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    def start(self) -> None:
        """Return once it listens.

        Raises:
            RuntimeError: it could not, for instance because the port is taken.
        """
        self._thread.start()
        give_up = time.monotonic() + START_SECONDS
        while not self._server.started:
            if self._ended.wait(0.01) or time.monotonic() > give_up:
                raise RuntimeError(f"the fleet API cannot listen on port {self._port}; see the log")

    def use(self, keyring: Keyring) -> None:
        """Take over a renewed keyring, and renew the serving certificate where that is due. To be called
        at least daily, also with the same keyring; open connections go on."""
        changed = self.fleet.use(keyring)
        if not self._given and (changed or ca.needs_renewal(self._serving, datetime.now(UTC))):
            self._serve_from_now(_own_certificate(keyring))

    def use_given(self, given: Offer) -> None:
        """Take over what others issued; to be called whenever the mount was looked at."""
        self._given = True
        self.fleet.use_given(given.authorities)
        if given.pair != self._serving:
            self._serve_from_now(given.pair)

    def _certificates(self) -> dict[str, float]:
        """When the one that is served ends, and the last of the authorities that workers are to trust."""
        last = max(authority.ends for authority in self.fleet.keyring.authorities)
        return {"serving": self._serving.ends.timestamp(), "authority": last.timestamp()}

    def stop(self) -> None:
        """Answer those who wait, and end."""
        self.fleet.board.close()
        self._server.should_exit = True
        self._thread.join(START_SECONDS)

    def _serve_from_now(self, pair: ca.KeyPair) -> None:
        self._tls.show(pair)
        self._serving = pair
        log.info("the fleet API serves another certificate, which ends %s", pair.ends.isoformat())

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            log.error("the fleet API cannot listen on port %d: %s", self._port, error)
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        self.fleet.board.loop = asyncio.get_running_loop()
        with self.door.listen(self._host, self._port) as listener:
            await self._server.serve([listener])
        await self._app.close()


def _own_certificate(keyring: Keyring) -> ca.KeyPair:
    now = datetime.now(UTC)
    return ca.make_serving(ca.signer(keyring.authorities, now), now)
