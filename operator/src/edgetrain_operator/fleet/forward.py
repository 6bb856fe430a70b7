"""Every replica is Ready and takes requests; what a standby gets, it passes on to the leader."""

import ssl
from typing import Protocol

import aiohttp
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.shown import shows_ours
from edgetrain_operator.fleet.tls import verifying
from edgetrain_operator.fleet.wire import Problem, body_of
from edgetrain_protocol.names import FLEET_SERVER_NAME
from edgetrain_protocol.signed_plan import SIGNATURE_HEADER

FORWARDED = "x-edgetrain-forwarded"
"""Marks what came from a standby: passed on once, or two that each take the other for the leader loop."""
KEPT_HEADERS = ("authorization", "content-type", "x-edgetrain-worker", "x-edgetrain-pod-uid")
ANSWERED_HEADERS = ("Content-Type", "Retry-After", SIGNATURE_HEADER)
ANSWER_SECONDS = 35.0
"""Beyond the longest poll."""


class Leadership(Protocol):
    """Who leads, as the Lease says. Asked at every request: must not block."""

    def leads(self) -> bool:
        """Whether this replica does."""
        ...

    def leader_address(self) -> str | None:
        """host:port of the leader's fleet API; None while nobody leads."""
        ...


class OnlyOperator:
    """Leads, as there is no other."""

    def leads(self) -> bool:
        return True

    def leader_address(self) -> str | None:
        return None


class ToLeader:
    """ASGI middleware: to the routes on the leader, to the leader from a standby, 503 while there is none."""

    def __init__(self, app: ASGIApp, leadership: Leadership, fleet: Fleet) -> None:
        self._app = app
        self._leadership = leadership
        self._fleet = fleet
        self._session: aiohttp.ClientSession | None = None
        # Of a bundle, and what trusts it: of none, nobody, so that the system's authorities need not be read.
        self._trusted = ("", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        local = scope["type"] != "http" or not scope["path"].startswith("/v1/")
        if local or self._leadership.leads():
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._pass_on(request)
        except Problem as problem:
            response = problem.response()
        await response(scope, receive, send)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _pass_on(self, request: Request) -> Response:
        leader = self._leadership.leader_address()
        if leader is None or FORWARDED in request.headers:
            raise Problem(503, "no operator leads at the moment", retry_after=2.0)
        # The leader refuses who shows no token of ours, and needs no body for that: none is kept here.
        body = await body_of(request) if shows_ours(self._fleet, request) else b""
        headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        try:
            async with self._client().request(
                request.method,
                f"https://{leader}{request.url.path}?{request.url.query}",
                data=body,
                headers={**headers, FORWARDED: "1"},
                ssl=self._verifying(),
                server_hostname=FLEET_SERVER_NAME,
            ) as answer:
                kept = {name: answer.headers[name] for name in ANSWERED_HEADERS if name in answer.headers}
                return Response(await answer.read(), answer.status, kept)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Problem(503, f"the leading operator does not answer: {error}", retry_after=2.0) from error

    def _client(self) -> aiohttp.ClientSession:
        # Made at the first use: a session belongs to the running loop. No bound on connections: each
        # waiting poll holds one.
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=5.0)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self._session

    def _verifying(self) -> ssl.SSLContext:
        bundle = self._fleet.ca_bundle()
        if self._trusted[0] != bundle:
            self._trusted = (bundle, verifying(bundle))
        return self._trusted[1]
