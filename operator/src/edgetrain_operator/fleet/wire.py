"""Requests as they come: who sends, how much, and errors in words that say what to mend."""

from fastapi import Request
from fastapi.responses import JSONResponse

from edgetrain_operator.fleet.store import Sender
from edgetrain_protocol.report import MOST_REQUEST_BYTES


class Problem(Exception):
    """Ends a request with a status and a text."""

    def __init__(
        self, status: int, detail: str, *, report: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.report, self.retry_after = status, detail, report, retry_after

    def response(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return JSONResponse({"detail": self.detail, "report": self.report}, self.status, headers)


def token_of(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Problem(401, "no token: send `Authorization: Bearer <the pod's token>`")
    return token.strip()


def sender_of(request: Request) -> Sender:
    return Sender(
        worker=request.headers.get("x-edgetrain-worker", ""),
        pod_uid=request.headers.get("x-edgetrain-pod-uid", ""),
    )


async def body_of(request: Request) -> bytes:
    """The body, of at most MOST_REQUEST_BYTES, whatever its Content-Length says."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_REQUEST_BYTES:
            raise Problem(
                413, f"the body is larger than {MOST_REQUEST_BYTES} bytes: send fewer reports at a time"
            )
    return bytes(body)
