"""Bytes and documents that are nearly right: cut short, one value another, gone, or of another document."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**53, 2**63, -(10**400), 10**400, 1e308, float("inf"), float("nan"), 0.5),
    *("", "x", "/", "x" * 5000, "\ud800", "..", "1e999"),
    *([], [[]], [1, "x", None], {}, {"a": {}}, {"type": []}),
)
LIMITS = (-1, 0, 1, 2, 2**31 - 1, 2**31, 10**9, 10**12, 2**53 - 1, 2**53, 1e11, 1e18, -0.0, 1e-300)
WORDS = ("é" * 63, "x" * 253, "x" * 254, "A", "a/b", "None", "\uff12", "\u202e", "\x00", "a b", "w-a", "-")
TIMES = ("0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-01-01", "yesterday")
MANY = 1001

Document = TypeVar("Document")
Place = tuple[Any, Any]
"""What holds a value, and its key there."""


def places(value: Any) -> list[Place]:
    """Every place in a document."""
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def copied(document: Document) -> Document:
    """As it would be read anew."""
    found: Document = json.loads(json.dumps(document))
    return found


def mutated(chance: random.Random, example: bytes) -> bytes:
    """An example with something wrong with it: with bytes changed, cut short, or one value another."""
    return chance.choice((_flipped, _cut, _spliced, _other_value, _nested))(chance, example)


def _flipped(chance: random.Random, example: bytes) -> bytes:
    changed = bytearray(example)
    for _ in range(chance.randrange(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(chance: random.Random, example: bytes) -> bytes:
    return example[: chance.randrange(len(example))]


def _spliced(chance: random.Random, example: bytes) -> bytes:
    begin, end = sorted(chance.randrange(len(example)) for _ in range(2))
    return example[:begin] + chance.randbytes(chance.randrange(40)) + example[end:]


def _nested(chance: random.Random, example: bytes) -> bytes:
    at = chance.randrange(len(example))
    return example[:at] + chance.choice((b"[", b'{"a":', b"9")) * 20_000 + example[at:]


def _other_value(chance: random.Random, example: bytes) -> bytes:
    """In the JSON that the example is or has in it, one value is another, or gone."""
    begin, end = example.find(b"{"), example.rfind(b"}") + 1
    try:
        document = json.loads(example[begin:end])
    except ValueError:
        return _flipped(chance, example)
    if found := places(document):
        holder, key = chance.choice(found)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = chance.choice(NASTY)
    return example[:begin] + json.dumps(document).encode() + example[end:]


def as_stored(document: Document) -> Document:
    """As an API server has it, which takes no halves of characters."""
    found: Document = json.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    return found


class Mutations:
    """Of documents, by one source of chance; `others` are documents to borrow from."""

    def __init__(self, chance: random.Random, others: Sequence[Any]) -> None:
        self._chance = chance
        self._others = others

    def of(self, document: Any, schema: Mapping[str, Any]) -> Any:
        """A copy with something wrong with it, or with something else that its schema allows."""
        changed = copied(document)
        for _ in range(self._chance.choice((1, 1, 1, 2, 4))):
            changed = self._changed(changed, schema)
        return changed

    def _changed(self, document: Any, schema: Mapping[str, Any]) -> Any:
        found = places(document)
        if not found or self._chance.random() < 0.3:
            return self._filled(document, schema, schema.get("$defs") or {})
        holder, key = self._chance.choice(found)
        # Rather what is of the right type: all else is refused by the first check.
        ways = {
            self._near: 4,
            self._borrowed: 4,
            self._gone: 2,
            self._more: 2,
            self._nasty: 1,
            self._limit: 1,
        }
        (way,) = self._chance.choices(list(ways), list(ways.values()))
        way(holder, key)
        return document

    def _nasty(self, holder: Any, key: Any) -> None:
        holder[key] = copied(self._chance.choice(NASTY))

    def _gone(self, holder: Any, key: Any) -> None:
        del holder[key]

    def _near(self, holder: Any, key: Any) -> None:
        """Of the same type, and so more likely to get past the first check."""
        value = holder[key]
        match value:
            case bool():
                holder[key] = not value
            case int() | float():
                holder[key] = self._chance.choice((value + 1, value - 1, -value, 2 * value, *LIMITS))
            case str():
                holder[key] = self._chance.choice((value + "x", value.upper(), value[:-1], *WORDS, *TIMES))
            case list():
                self._chance.shuffle(value)
            case dict():
                value[self._chance.choice(WORDS)] = self._chance.choice(NASTY)

    def _borrowed(self, holder: Any, key: Any) -> None:
        """What stands at a place of the same name, or anywhere, in some document."""
        found = places(self._chance.choice(self._others))
        alike = [of[at] for of, at in found if at == key or self._chance.random() < 0.05]
        if alike:
            holder[key] = copied(self._chance.choice(alike))

    def _more(self, holder: Any, key: Any) -> None:
        value = holder[key]
        if isinstance(value, list) and value:
            value += [copied(value[0])] * self._chance.choice((1, len(value), MANY))
        elif isinstance(value, dict) and value:
            one = next(iter(value.values()))
            value |= {f"w-{n}": copied(one) for n in range(self._chance.choice((1, 20, MANY)))}
        else:
            self._limit(holder, key)

    def _limit(self, holder: Any, key: Any) -> None:
        holder[key] = self._chance.choice(LIMITS)

    def _filled(self, document: Any, schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Any:
        """One of its fields as its schema has it, be it one that was left out; or of what is in it."""
        schema = _resolved(schema, defs)
        inside = [i for i in (document if isinstance(document, list) else ()) if isinstance(i, dict)]
        if inside and "items" in schema:
            one = self._chance.choice(inside)
            return [self._filled(i, schema["items"], defs) if i is one else i for i in document]
        fields = schema.get("properties") or {}
        if not isinstance(document, dict) or not fields:
            return self.generated(schema, defs)
        deep = [name for name in fields if isinstance(document.get(name), dict | list)]
        if deep and self._chance.random() < 0.6:
            name = self._chance.choice(deep)
            return {**document, name: self._filled(document[name], fields[name], defs)}
        name = self._chance.choice(sorted(fields))
        return {**document, name: self.generated(fields[name], defs)}

    def generated(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int = 6) -> Any:
        """A value that such a schema allows, near its bounds as often as not."""
        if "$ref" in schema:
            return self.generated(_resolved(schema, defs), defs, depth)
        for listed in ("anyOf", "oneOf", "allOf"):
            if listed in schema:
                return self.generated(self._chance.choice(schema[listed]), defs, depth)
        if chosen := schema.get("enum") or [schema[k] for k in ("const",) if k in schema]:
            return self._chance.choice(chosen)
        make = _MAKE.get(str(schema.get("type")))
        return make(self, schema, defs, depth) if make else None

    def _object(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> Any:
        fields = {
            name: self.generated(of, defs, depth - 1)
            for name, of in (schema.get("properties") or {}).items()
            if name in schema.get("required", ()) or (depth > 0 and self._chance.random() < 0.4)
        }
        others = schema.get("additionalProperties")
        if isinstance(others, Mapping) and depth > 0:
            names = self._chance.sample(WORDS, self._chance.randrange(3))
            fields |= {name: self.generated(others, defs, depth - 1) for name in names}
        return fields

    def _array(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> Any:
        least, items = schema.get("minItems", 0), schema.get("items") or {}
        count = max(least, self._chance.randrange(4) if depth > 0 else 0)
        return [self.generated(items, defs, depth - 1) for _ in range(count)]

    def _number(self, schema: Mapping[str, Any], *_: Any) -> Any:
        low, high = schema.get("minimum", -(10**6)), schema.get("maximum", 10**6)
        between = self._chance.uniform(low, high)
        found = self._chance.choice((low, high, between, min(low + 1, high)))
        return int(found) if schema["type"] == "integer" else found

    def _string(self, schema: Mapping[str, Any], *_: Any) -> Any:
        words = (*WORDS, *TIMES, "a", "digits", "10Gi", "file:///x", "")
        return self._chance.choice(words)[: schema.get("maxLength", 10**6)]


def _resolved(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What it stands for; of several, the first that is no null."""
    for listed in ("anyOf", "oneOf", "allOf"):
        if listed in schema:
            return _resolved(next(of for of in schema[listed] if of.get("type") != "null"), defs)
    return defs[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


_Make = Callable[[Mutations, Mapping[str, Any], Mapping[str, Any], int], Any]
_MAKE: Mapping[str, _Make] = {
    "object": Mutations._object,
    "array": Mutations._array,
    "number": Mutations._number,
    "integer": Mutations._number,
    "string": Mutations._string,
    "boolean": lambda self, *_: self._chance.random() < 0.5,
}
