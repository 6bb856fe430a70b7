"""Schemas of the Kubernetes API's own shapes that a job passes on to its pods.

In Python they stay plain dictionaries, handed on as they are. To the API server they are spelt out,
for two reasons: a typing error is refused with the job rather than later with its pods, and `==` in a
CEL rule takes free-form objects for equal whose keys differ, so that `{emptyDir: {}}` could become
`{hostPath: {...}}` in a job that cannot be changed.
"""

from typing import Any

from edgetrain_protocol.rules import checked, rule

Shape = dict[str, Any]

QUANTITY: Shape = {
    "x-kubernetes-int-or-string": True,
    "pattern": r"^[-+]?[0-9.]+([EPTGMk]i?|[numkK]|[eE][-+]?[0-9]+)?$",
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
