"""Requests as they come: who sends, what the body holds, and errors in words that say what to mend."""

import json
import math
from collections.abc import Iterator

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from edgetrain_operator.fleet.store import Nonsense, Sender
from edgetrain_protocol.report import Report

MAX_BODY_BYTES = 1 << 20
MAX_REPORTS = 256
"""In one request, of a backlog."""


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
    """The body, of at most MAX_BODY_BYTES, whatever its Content-Length says."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(
                413, f"the body is larger than {MAX_BODY_BYTES} bytes: send fewer reports at a time"
            )
    return bytes(body)


def read_reports(body: bytes) -> list[Report]:
    """One report, or `{"reports": [...]}`, oldest first.

    Raises:
        Problem: the first thing wrong, by report and field.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(422, f"the body is not JSON: {error}") from error
    listed = document.get("reports", [document]) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_REPORTS:
        raise Problem(
            422, f'the body must be a report, or {{"reports": [...]}} with 1 to {MAX_REPORTS} of them'
        )
    return [_read_report(item, index) for index, item in enumerate(listed)]


def nonsense(error: Nonsense) -> Problem:
    return Problem(422, _located(str(error), error.index), report=error.index)


def _read_report(item: object, index: int) -> Report:
    for path in _not_finite(item, ""):
        raise Problem(422, _located(f"{path}: not a finite number", index), report=index)
    try:
        return Report.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise Problem(422, _located(f"{path}: {first['msg']}", index), report=index) from error


def _located(text: str, index: int) -> str:
    return f"report {index}: {text}"


def _not_finite(value: object, path: str) -> Iterator[str]:
    """Where JSON's own extensions (NaN, Infinity) or an overflow slipped in."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")
