"""Reports as they come, read in work that is linear in their bytes: all other workers wait meanwhile."""

from pydantic import Field, ValidationError

from edgetrain_operator.fleet.store import InvalidReport
from edgetrain_operator.fleet.wire import Problem
from edgetrain_protocol.base import Many, Tolerant
from edgetrain_protocol.report import Report

MAX_REPORTS = 256
"""In one request, of a backlog."""


class _Several(Tolerant):
    reports: Many[Report] = Field((), min_length=1, max_length=MAX_REPORTS)


def read_reports(body: bytes) -> tuple[Report, ...]:
    """One report, or `{"reports": [...]}`, oldest first.

    Raises:
        Problem: the first thing wrong, by report and field.
    """
    try:
        # Never as Python's own lists and dicts: what nobody reads would cost as much as the rest.
        several = _Several.from_wire(body)
        return several.reports if several.model_fields_set else (Report.from_wire(body),)
    except ValidationError as error:
        raise _problem(error) from error


def nonsense(error: InvalidReport) -> Problem:
    return _located(str(error), error.index)


def _problem(error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return Problem(422, f"the body is not JSON: {first['msg']}")
    match first["loc"]:
        case () | ("reports",):
            text = f'the body must be a report, or {{"reports": [...]}} with 1 to {MAX_REPORTS} of them'
            return Problem(422, text)
        case ("reports", int(index), *path):
            return _located(f"{_dotted(path)}{first['msg']}", index)
        case path:
            return _located(f"{_dotted(path)}{first['msg']}", 0)


def _dotted(path: "list[str | int] | tuple[str | int, ...]") -> str:
    return f"{'.'.join(map(str, path))}: " if path else ""


def _located(text: str, index: int) -> Problem:
    return Problem(422, f"report {index}: {text}", report=index)
