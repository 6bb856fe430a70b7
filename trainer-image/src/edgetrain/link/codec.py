"""Messages as lines of JSON: the class's name, then its fields."""

import base64
import json
import types
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from edgetrain.link.messages import Message

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


class BadMessage(ValueError):
    """A line that is no message."""


def encode(message: Message) -> bytes:
    """One line, with its end."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Read one line.

    Raises:
        BadMessage: not JSON, an unknown type, or fields that do not fit it.
    """
    try:
        document = json.loads(line)
        message: Message = _read(_KINDS[document.pop("type")], document)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadMessage(f"no message of the local link: {line[:200]!r}: {error!r}") from error
    return message


def _read(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, tuple):
        hints = get_type_hints(kind)
        return kind(*(_read(hint, part) for hint, part in zip(hints.values(), value, strict=False)))
    if isinstance(kind, type) and is_dataclass(kind):
        return kind(**{name: _read(hint, value[name]) for name, hint in _hints(kind) if name in value})
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _read(get_args(kind)[0], value)
    if get_origin(kind) is list:
        return [_read(get_args(kind)[0], item) for item in value]
    if get_origin(kind) is dict:
        return {str(key): _read(get_args(kind)[1], item) for key, item in value.items()}
    convert: Callable[[Any], Any] = kind
    return convert(value)


@cache
def _hints(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


def pack_bytes(value: bytes) -> str:
    """Bytes as they go into a message."""
    return base64.b64encode(value).decode()


def unpack_bytes(text: str) -> bytes:
    return base64.b64decode(text)
