"""What supervisors say to one another, as JSON: the kind's name, then its content."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgetrain.group.effects import Asked
from edgetrain.group.members import Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Vote
from edgetrain.group.said import Call, Established, Refusal
from edgetrain.group.status import Status
from edgetrain.link import StoreSet
from edgetrain.supervisor.record_reading import RECORD


@dataclass(frozen=True)
class Beat:
    """Every 100 ms: the sender lives, and its trainer is here."""

    formation: int = 0
    step: int = 0
    waiting: bool = False
    usual: float = 0.0


@dataclass(frozen=True)
class Passed:
    """A plan, handed on as the operator wrote and signed it (`edgetrain_protocol.signed_plan`)."""

    plan: str
    """JSON."""
    signature: str = ""


Spoken = Beat | Passed | StoreSet | Status | Record | Call | Vote | Refusal | Established | Asked

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Beat, Passed, StoreSet, Status, Record, Call, Vote, Refusal, Established, Asked)
}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in KINDS.items()}
_ADAPTERS[Record.__name__] = RECORD


class BadSpeech(ValueError):
    """Bytes that are nothing a supervisor says."""


def speaks_for(pod: Pod, message: Status | Record | Vote) -> bool:
    """Whether all that it says of pods and their trainers is of this one: nobody says that for another."""
    match message:
        case Status(own, member):
            return own == pod and (member is None or member.home == pod)
        case Vote(_, voter, record):
            return voter.home == pod and speaks_for(pod, record)
    told = [*message.ended, *([message.voter] if message.voter else [])]
    return message.pod == pod and all(member.home == pod for member in told)


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
