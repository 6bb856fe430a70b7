"""From pydantic's JSON schema to Kubernetes' structural schema.

Kubernetes wants every $ref written out, no `anyOf` with null (an absent field is one left out), and
no `additionalProperties` beside `properties` (unknown fields are pruned, or refused by strict clients).
"""

from typing import Any

from pydantic import BaseModel

from edgetrain_protocol.rules import LEFT_OPEN_KEY

Schema = dict[str, Any]

DROPPED = ("title", "readOnly", "$defs", "propertyNames", LEFT_OPEN_KEY)
KEYWORDS = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "items",
    "additionalProperties",
)
"""In the order in which they are written; x-kubernetes-* come last."""


def spec_schema(model: type[BaseModel]) -> Schema:
    """What people write. Defaults are materialised at every level, so that a path into them always exists;
    those of models that are left open are told alone."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}), defaults=True)


def status_schema(model: type[BaseModel]) -> Schema:
    """What the operator writes: with the computed fields, without defaults, requiring nothing computed."""
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    return _structural(schema, schema.get("$defs", {}), defaults=False)


def _structural(schema: Schema, defs: Schema, *, defaults: bool) -> Schema:
    schema = _written_out(schema, defs)
    if defaults and LEFT_OPEN_KEY in schema:
        schema = schema | {"properties": {n: _told(child) for n, child in schema["properties"].items()}}

    def below(child: Schema) -> Schema:
        return _structural(child, defs, defaults=defaults)

    found = {key: value for key, value in schema.items() if key not in DROPPED}
    if schema.get("type") == "integer":
        found["format"] = "int64"
    if "items" in schema:
        found["items"] = below(schema["items"])
        found.setdefault("x-kubernetes-list-type", "atomic")
    if "properties" in schema:
        found["properties"] = {name: below(child) for name, child in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = below(schema["additionalProperties"])
    else:
        found.pop("additionalProperties", None)
    if defaults:
        _materialise(found, schema)
    else:
        found.pop("default", None)
        _require_written(found, schema)
    return _ordered(found)


def _told(schema: Schema) -> Schema:
    """With its default in words alone."""
    value = schema.get("default")
    if value is None:
        return schema
    text = str(value).lower() if isinstance(value, bool) else value
    rest = {key: what for key, what in schema.items() if key != "default"}
    return rest | {"description": f"{schema['description']} Where unset: {text}."}


def _written_out(schema: Schema, defs: Schema) -> Schema:
    """Resolve a reference or an optional; what stands beside it wins over what it names."""
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
    if "$ref" in schema:
        return _written_out({**defs[schema["$ref"].rpartition("/")[2]], **beside}, defs)
    if "anyOf" in schema:
        [only] = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
        if beside.get("default", ...) is None:
            del beside["default"]
        return _written_out({**only, **beside}, defs)
    return schema


def _materialise(found: Schema, schema: Schema) -> None:
    """Give models that are never null a default: rules and paths then need not ask whether they are there.

    Written out in full, as the API server checks a default against the rules before it fills in those below.
    """
    for name, child in found.get("properties", {}).items():
        is_model = "$ref" in schema["properties"][name] and "properties" in child
        if is_model and name not in found.get("required", ()):
            below = child["properties"].items()
            child["default"] = {key: value["default"] for key, value in below if "default" in value}


def _require_written(found: Schema, schema: Schema) -> None:
    """A computed field is always written but need not be there: an older operator did not write it."""
    properties = schema.get("properties", {})
    needed = [name for name in schema.get("required", ()) if not properties[name].get("readOnly")]
    found.pop("required", None)
    if needed:
        found["required"] = needed


def _ordered(found: Schema) -> Schema:
    first = {key: found[key] for key in KEYWORDS if key in found}
    return first | {key: found[key] for key in sorted(found.keys() - first.keys())}
