"""The status as it was written last. It is the operator's own, and yet others may write into it, and another
version may have."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from edgetrain_protocol.status import JobStatus

Way = tuple[int | str, ...]
"""From a document to a place in it."""


def status_before(raw: object) -> JobStatus:
    """What cannot be read of it counts as not said: a job is not held up by what is only told of it."""
    document = raw if isinstance(raw, Mapping) else {}
    try:
        return JobStatus.model_validate(document)
    except ValidationError as error:
        wrong = [found["loc"] for found in error.errors(include_url=False, include_input=False)]
        return JobStatus.model_validate(_without(document, wrong))


def _without(document: Mapping[str, Any], wrong: Iterable[Way]) -> dict[str, Any]:
    """Of a list, without the entries that are wrong; else without the whole field."""
    found = dict(document)
    entries: dict[str, set[int]] = {}
    for field, *inside in wrong:
        match document[str(field)], inside:
            case [*_], [int(index), *_]:
                entries.setdefault(str(field), set()).add(index)
            case _:
                found.pop(str(field), None)
    for name in entries.keys() & found.keys():
        found[name] = [entry for index, entry in enumerate(found[name]) if index not in entries[name]]
    return found
