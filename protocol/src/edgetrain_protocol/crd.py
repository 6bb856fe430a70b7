"""The CustomResourceDefinitions, from the models; `python -m edgetrain_protocol.crd` writes them."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import GROUP, KIND, PLURAL, RUNTIME_KIND, RUNTIME_PLURAL, VERSION
from edgetrain_protocol.rules import VALIDATIONS, rule
from edgetrain_protocol.runtime import RuntimeSpec
from edgetrain_protocol.status import JobStatus
from edgetrain_protocol.structural import Schema, spec_schema, status_schema

Column = tuple[str, str, str, int]
"""Name, type, path, priority: those of priority 1 come with `-o wide`."""

DIRECTORIES = ("crds", "charts/edgetrain/files")
"""The chart has a copy of its own: Helm reads nothing outside it."""
HEADER = "# Generated from protocol/ by `make crds`; do not edit.\n"

COLUMNS: tuple[Column, ...] = (
    ("State", "string", ".status.phase", 0),
    ("Workers", "string", ".status.workers.summary", 0),
    ("Progress", "string", ".status.progress.summary", 0),
    ("Aggregator", "string", ".status.aggregator", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Queue", "string", ".spec.scheduling.queue", 1),
    ("Runtime", "string", ".spec.runtimeRef.name", 1),
    ("Training", "integer", ".status.workers.training", 1),
    ("Paused", "integer", ".status.workers.paused", 1),
    ("Epoch", "integer", ".status.progress.epoch", 1),
    ("Loss", "number", ".status.progress.loss", 1),
    ("Version", "integer", ".status.progress.version", 1),
    ("Samples/s", "number", ".status.progress.samplesPerSecond", 1),
    ("Generation", "integer", ".status.groups[0].generation", 1),
    ("Revision", "integer", ".status.plan.revision", 1),
    ("Failures", "integer", ".status.failures", 1),
)
RUNTIME_COLUMNS: tuple[Column, ...] = (
    ("Image", "string", ".spec.program.image", 0),
    ("Generation", "integer", ".metadata.generation", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("May change", "string", ".spec.mayChange", 1),
)

NAME_FITS = rule(
    "self.metadata.name.size() <= 63",
    "a job's name becomes a label of its pods: shorten it to at most 63 characters",
)


def root_schema() -> Schema:
    """Schema of a whole job."""
    return {
        **_object(
            "A program trained together by the edge nodes that a selector names.",
            {"spec": spec_schema(JobSpec), "status": status_schema(JobStatus)},
        ),
        VALIDATIONS: [NAME_FITS],
    }


def runtime_schema() -> Schema:
    """Schema of a whole runtime."""
    return _object(
        "What a platform team says for many jobs, which name it, and what each of these may change.",
        {"spec": spec_schema(RuntimeSpec)},
    )


def custom_resource_definition() -> dict[str, Any]:
    """Of jobs, as plain data."""
    version = _version(COLUMNS, root_schema())
    version["subresources"] = {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.nodes.max",
            "statusReplicasPath": ".status.workers.ready",
            "labelSelectorPath": ".status.selector",
        },
    }
    return _definition(KIND, PLURAL, "etj", "Namespaced", version)


def runtime_definition() -> dict[str, Any]:
    """Of runtimes, as plain data."""
    version = _version(RUNTIME_COLUMNS, runtime_schema())
    return _definition(RUNTIME_KIND, RUNTIME_PLURAL, "etr", "Cluster", version)


def _object(description: str, parts: Schema) -> Schema:
    own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    return {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": {**own, **parts},
    }


def _version(columns: Iterable[Column], schema: Schema) -> dict[str, Any]:
    """The one version that is served."""
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
            for name, kind, path, priority in columns
        ],
        "schema": {"openAPIV3Schema": schema},
    }


def _definition(kind: str, plural: str, short: str, scope: str, version: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
            },
            "scope": scope,
            "versions": [version],
        },
    }


FILES = {
    f"{GROUP}_{PLURAL}.yaml": custom_resource_definition,
    f"{GROUP}_{RUNTIME_PLURAL}.yaml": runtime_definition,
}
"""What is kept in each of DIRECTORIES."""


class _Plain(yaml.SafeDumper):
    """Writes a shared list in full each time: an alias would be lost on readers of the file."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def render(definition: dict[str, Any]) -> str:
    """The manifest as it is kept."""
    return HEADER + yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=110)


if __name__ == "__main__":
    for directory in sys.argv[1:] or DIRECTORIES:
        for file, definition in FILES.items():
            (Path(directory) / file).write_text(render(definition()))
