"""Messages as lines of JSON: the class's name, then its fields."""

import base64
from typing import Any, get_args

import msgspec

from edgetrain.link.messages import Message

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


class BadMessage(ValueError):
    """A line that is no message."""


class _Head(msgspec.Struct):
    type: str


def encode(message: Message) -> bytes:
    """One line, with its end. JSON has no number that is not finite: such a one becomes None."""
    fields: dict[str, Any] = msgspec.to_builtins(message)
    return msgspec.json.encode({"type": type(message).__name__, **fields}) + b"\n"


def decode(line: bytes) -> Message:
    """Read one line.

    Raises:
        BadMessage: not JSON, an unknown type, or fields that do not fit it.
    """
    try:
        kind = _KINDS[msgspec.json.decode(line, type=_Head).type]
        message: Message = msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
        raise BadMessage(f"no message of the local link: {line[:200]!r}: {error!r}") from error
    return message


def pack_bytes(value: bytes) -> str:
    """Bytes as they go into a message."""
    return base64.b64encode(value).decode()


def unpack_bytes(text: str) -> bytes:
    return base64.b64decode(text)
