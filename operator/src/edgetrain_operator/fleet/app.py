"""The fleet API's routes. What they answer is decided in `fleet`, `store` and `probes`."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from edgetrain_operator.fleet import views
from edgetrain_operator.fleet.fleet import Fleet, Over
from edgetrain_operator.fleet.reading import nonsense, read_reports
from edgetrain_operator.fleet.store import InvalidReport, Sender
from edgetrain_operator.fleet.tokens import OPERATOR
from edgetrain_operator.fleet.wire import Problem, body_of, sender_of, token_of
from edgetrain_protocol.report import ReportAnswer
from edgetrain_protocol.signed_plan import SIGNATURE_HEADER

LONGEST_WAIT_SECONDS = 30.0
LONGEST_HELD_SECONDS = 1.0
UNKNOWN_SECONDS = 1.0
Seconds = Annotated[float, Query(allow_inf_nan=False)]
"""A wait that is no number would never be over, and never begin."""
OVER = "this pod is over: its job ended or another pod took its place; the worker shall end"


def create_app(fleet: Fleet) -> FastAPI:
    """The ASGI application, as the leader runs it."""
    app = FastAPI(title="edgetrain fleet API", openapi_url=None)
    app.add_exception_handler(Problem, _problem)
    _worker_routes(app, fleet)
    _view_routes(app, fleet)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _worker_routes(app: FastAPI, fleet: Fleet) -> None:
    @app.post("/v1/jobs/{job_uid}/reports")
    async def reports(job_uid: str, request: Request) -> Response:
        sender = _admit(fleet, job_uid, request)
        body = await body_of(request)
        fleet.paces.charge(job_uid, sender.pod_uid, len(body))
        try:
            answer: ReportAnswer = fleet.take(job_uid, read_reports(body), sender)
        except InvalidReport as error:
            raise nonsense(error) from error
        except Over as over:
            raise Problem(410, OVER) from over
        return _json(answer.model_dump_json(by_alias=True, exclude_none=True))

    @app.get("/v1/jobs/{job_uid}/plan")
    async def plan(
        job_uid: str, request: Request, lineage: int = 0, revision: int = 0, wait: Seconds = 20.0
    ) -> Response:
        sender = _admit(fleet, job_uid, request)
        ends = time.monotonic() + min(max(wait, 0.0), LONGEST_WAIT_SECONDS)
        while True:
            if fleet.is_over(job_uid, sender.pod_uid):
                raise Problem(410, OVER)
            served = fleet.board.newer_than(job_uid, sender.worker, lineage, revision)
            left = ends - time.monotonic()
            if served is not None:
                return _json(served.text, {SIGNATURE_HEADER: served.signature})
            if left <= 0 or fleet.board.closed:
                return Response(status_code=204)
            await fleet.board.changed(job_uid, left)


def _view_routes(app: FastAPI, fleet: Fleet) -> None:
    @app.get("/v1/jobs")
    async def jobs(request: Request) -> views.Jobs:
        if not fleet.believes(token_of(request), OPERATOR):
            raise Problem(401, "the token is not the operator's: a pod's opens /v1/jobs/<its job> alone")
        return views.jobs(fleet, fleet.known_jobs())

    @app.get("/v1/jobs/{job_uid}")
    async def job(job_uid: str, request: Request) -> views.Job:
        if not fleet.believes(token_of(request), OPERATOR):
            _admit(fleet, job_uid, request)
        if job_uid not in fleet.known_jobs() and fleet.board.plan(job_uid) is None:
            raise Problem(404, f"nothing is known of job {job_uid}: no plan, and no report")
        return views.job(fleet, job_uid)


def _admit(fleet: Fleet, job_uid: str, request: Request) -> Sender:
    """Who asks, proved by the token; for a job that is known here."""
    sender = sender_of(request)
    if not fleet.believes(token_of(request), job_uid, sender.worker, sender.pod_uid):
        whose = f"{sender.worker}'s pod {sender.pod_uid} of job {job_uid}"
        raise Problem(401, f"the token is not that of {whose}: read the mounted token again")
    if fleet.is_over(job_uid, sender.pod_uid):
        raise Problem(410, OVER)
    # A token outlives its job, and an operator that begins has not heard of all jobs yet.
    if not fleet.expects(job_uid):
        raise Problem(503, f"the operator knows of no job {job_uid}, or not yet", retry_after=UNKNOWN_SECONDS)
    if wait := fleet.paces.wait(job_uid, sender.pod_uid, fleet.workers(job_uid)):
        raise Problem(429, "too many requests of this pod, or of all pods of its job", retry_after=wait)
    return sender


def _json(body: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, headers=headers, media_type="application/json")


async def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    if problem.status == 429:  # Who does not wait by itself is made to.
        await asyncio.sleep(min(problem.retry_after or 0.0, LONGEST_HELD_SECONDS))
    return problem.response()
