"""What supervisors say to one another, as JSON: the kind's name, then its content."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgetrain.group.ballot import Call, Established, Refusal
from edgetrain.group.effects import Asked
from edgetrain.group.record import Record
from edgetrain.group.rules import Vote
from edgetrain.group.status import Status
from edgetrain.local import StoreSet


@dataclass(frozen=True)
class Beat:
    """Every 100 ms: the sender lives, and its trainer is here."""

    formation: int = 0
    step: int = 0
    waiting: bool = False
    usual: float = 0.0


@dataclass(frozen=True)
class Passed:
    """A plan, handed on: with the operator out of reach, what one holds all come to hold."""

    plan: str
    """JSON."""


Spoken = Beat | Passed | StoreSet | Status | Record | Call | Vote | Refusal | Established | Asked

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Beat, Passed, StoreSet, Status, Record, Call, Vote, Refusal, Established, Asked)
}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in KINDS.items()}


class BadSpeech(ValueError):
    """Bytes that are nothing a supervisor says."""


def encode(message: Spoken) -> bytes:
    name = type(message).__name__
    return b'{"kind":"%s","said":%s}' % (name.encode(), _ADAPTERS[name].dump_json(message))


def decode(text: bytes) -> Spoken:
    """Read one message.

    Raises:
        BadSpeech: not JSON or nested without end, of an unknown kind, or with fields that do not fit it.
    """
    try:
        document = json.loads(text)
        said: Spoken = _ADAPTERS[document["kind"]].validate_python(_lists_as_tuples(document["said"]))
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise BadSpeech(f"{text[:120]!r}: {error}") from error
    return said


def _lists_as_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_lists_as_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _lists_as_tuples(item) for key, item in value.items()}
    return value
