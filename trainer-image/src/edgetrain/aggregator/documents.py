"""Documents of rounds as JSON: entries, books, what is said between holders and to envoys."""

from typing import Any, TypeVar

import msgspec

from edgetrain.rounds.book_rules import BookRules

T = TypeVar("T")


class BadDocument(ValueError):
    """Bytes that are not the document that they should be."""


def encode(thing: object) -> bytes:
    return msgspec.json.encode(thing, enc_hook=_without_rules)


def decode(data: bytes | str, kind: type[T]) -> T:
    """
    Raises:
        BadDocument: not JSON, nested without end, or fields that do not fit.
    """
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_with_rules)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadDocument(f"no {kind.__name__}: {data[:120]!r}: {error}") from error


def _without_rules(thing: Any) -> None:
    """Rules are code: whoever reads the books has their own."""
    if not isinstance(thing, BookRules):
        raise NotImplementedError(f"no document contains {type(thing).__name__}")


def _with_rules(kind: type[Any], _: Any) -> Any:
    return kind()
