"""Counts and times the fleet API's requests, on whichever replica they come in."""

import re
import time
from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "edgetrain_operator_fleet"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROUTES = {
    "reports": re.compile(r"/v1/jobs/[^/]+/reports"),
    "plan": re.compile(r"/v1/jobs/[^/]+/plan"),
    "views": re.compile(r"/v1/jobs(/[^/]+)?"),
    "healthz": re.compile(r"/healthz"),
}
"""A route's name -> its paths. Whatever else is asked for counts as `other`: paths are no labels."""


def route_of(path: str) -> str:
    return next((name for name, paths in ROUTES.items() if paths.fullmatch(path)), "other")


class Requests(Collector):
    """What the API was asked, and how long its answers took. A poll for a plan lasts as long as it waits."""

    def __init__(self) -> None:
        self._requests = Counter(
            f"{PREFIX}_requests", "Requests by route and class of status.", ["route", "code"], registry=None
        )
        self._seconds = Histogram(
            f"{PREFIX}_request_seconds",
            "From a request to the end of its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=None,
        )
        for route in (*ROUTES, "other"):
            self._seconds.labels(route)
            self._requests.labels(route, "2xx")

    def collect(self) -> Iterator[Metric]:
        yield from self._requests.collect()
        yield from self._seconds.collect()

    def answered(self, path: str, status: int, seconds: float) -> None:
        """`status` 0: the client went away before it had an answer."""
        route = route_of(path)
        self._requests.labels(route, f"{status // 100}xx" if status else "none").inc()
        self._seconds.labels(route).observe(seconds)


class Counted:
    """ASGI middleware, the outermost: what is forwarded to the leader counts here too."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._requests.answered(scope["path"], status, time.monotonic() - began)
