"""Whose connection may stay, and whose requests a standby reads: of whoever shows a token that we made."""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from edgetrain_operator.fleet.door import Door
from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.tokens import OPERATOR
from edgetrain_operator.fleet.wire import Problem, sender_of, token_of

_JOB = re.compile(r"/v1/jobs/([^/]+)")


class Shown:
    """ASGI middleware: tells the door of the first good token on a connection. It refuses nobody: that is for
    the routes, which know what was asked for."""

    def __init__(self, app: ASGIApp, fleet: Fleet, door: Door) -> None:
        self._app, self._fleet, self._door = app, fleet, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stranger = scope["type"] == "http" and not self._door.is_guest(scope["client"])
        if stranger and shows_ours(self._fleet, Request(scope)):
            self._door.prove(scope["client"])
        await self._app(scope, receive, send)


def shows_ours(fleet: Fleet, request: Request) -> bool:
    """Whether it has the token of the pod that it says it is from, or the operator's."""
    try:
        token, sender = token_of(request), sender_of(request)
    except Problem:
        return False
    named = _JOB.match(request.scope["path"])
    pod = (named[1] if named else "", sender.worker, sender.pod_uid)
    return fleet.believes(token, *pod) or fleet.believes(token, OPERATOR)
