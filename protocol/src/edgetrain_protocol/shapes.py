"""Schemas of the Kubernetes API's own shapes that a job passes on to its pods.

In Python they stay plain dictionaries, handed on as they are, once they have been found to be of their shape:
what is stored may be of another schema. To the API server they are spelt out,
for two reasons: a typing error is refused with the job rather than later with its pods, and `==` in a
CEL rule takes free-form objects for equal whose keys differ, so that `{emptyDir: {}}` could become
`{hostPath: {...}}` in a job that cannot be changed.
"""

import re
from collections.abc import Iterator
from typing import Any

from edgetrain_protocol.rules import checked, rule

Shape = dict[str, Any]

QUANTITY: Shape = {
    "x-kubernetes-int-or-string": True,
    "pattern": r"^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,3})?$",
    "maxLength": 32,
}
FLAG: Shape = {"type": "boolean"}
NUMBER: Shape = {"type": "integer"}
ANY: Shape = {"type": "object", "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": True}


def text(longest: int = 253, *choices: str) -> Shape:
    """A string, of these choices if any are given."""
    return {"type": "string", "maxLength": longest, **({"enum": list(choices)} if choices else {})}


def shape(
    kind: str, properties: dict[str, Shape], *, required: tuple[str, ...] = (), entries: int | None = None
) -> Shape:
    """An object of Kubernetes' `kind`; with `entries`, of exactly so many fields."""
    found: Shape = {"type": "object", "properties": {}}
    for name, schema in properties.items():
        found["properties"][name] = {"description": f"As in Kubernetes' {kind}.", **schema}
    if required:
        found["required"] = list(required)
    return found | ({"minProperties": entries, "maxProperties": entries} if entries else {})


_KEY = {"name": text(), "key": text(), "optional": FLAG}
VALUE_FROM = shape(
    "EnvVarSource",
    {
        "secretKeyRef": shape("SecretKeySelector", _KEY, required=("name", "key")),
        "configMapKeyRef": shape("ConfigMapKeySelector", _KEY, required=("name", "key")),
        "fieldRef": shape(
            "ObjectFieldSelector", {"apiVersion": text(), "fieldPath": text()}, required=("fieldPath",)
        ),
        "resourceFieldRef": shape(
            "ResourceFieldSelector",
            {"containerName": text(), "resource": text(), "divisor": QUANTITY},
            required=("resource",),
        ),
    },
    entries=1,
)

_AMOUNTS = {"type": "object", "maxProperties": 32, "additionalProperties": QUANTITY}
_DEVICES = rule(
    "!has(self.requests) || self.requests.all(name, !name.contains('/') || (has(self.limits)"
    " && name in self.limits && string(self.limits[name]) == string(self.requests[name])))",
    "devices such as nvidia.com/gpu are asked for by limits: leave them out of requests, or say the same",
)
"""The API server says so too, but of the pods, which come later."""
RESOURCES = {
    **shape("ResourceRequirements", {"limits": _AMOUNTS, "requests": _AMOUNTS}),
    **checked(_DEVICES),
}

TOLERATION = shape(
    "Toleration",
    {
        "key": text(317),
        "operator": text(16, "Exists", "Equal"),
        "value": text(63),
        "effect": text(16, "NoSchedule", "PreferNoSchedule", "NoExecute"),
        "tolerationSeconds": NUMBER,
    },
)

_SOURCES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
VOLUME_SOURCE = shape("VolumeSource", dict.fromkeys(_SOURCES, ANY), entries=1)
VOLUME = shape("Volume", {"name": text(63), **dict.fromkeys(_SOURCES, ANY)}, required=("name",), entries=2)

VOLUME_MOUNT = shape(
    "VolumeMount",
    {
        "name": text(63),
        "mountPath": text(1024),
        "readOnly": FLAG,
        "subPath": text(1024),
        "subPathExpr": text(1024),
        "mountPropagation": text(32),
        "recursiveReadOnly": text(32),
    },
    required=("name", "mountPath"),
)

SECRET_REFERENCE = shape("LocalObjectReference", {"name": text()}, required=("name",))

_TYPES: dict[str, Any] = {"object": dict, "string": str, "boolean": bool, "integer": int}


def misfits(value: Any, of: Shape, where: str = "") -> Iterator[str]:
    """What of it is not of this shape, by its place in it."""
    if "x-kubernetes-int-or-string" in of:
        number = type(value) in (int, str) and re.fullmatch(of["pattern"], str(value))
        yield from () if number else (f"{where}is no quantity",)
        return
    kind = _TYPES[of["type"]]
    if kind is not type(value):
        yield f"{where}has to be of type {of['type']}"
    elif value not in of.get("enum", (value,)):
        yield f"{where}has to be one of {', '.join(of['enum'])}"
    elif of["type"] == "object":
        yield from (f"{where}lacks {name}" for name in of.get("required", ()) if name not in value)
        for name, inside in value.items():
            schema = of.get("properties", {}).get(name) or of.get("additionalProperties")
            yield from misfits(inside, schema, f"{where}{name}: ") if schema else ()
