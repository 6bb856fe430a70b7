"""The CustomResourceDefinition, generated from the models; `python -m edgetrain_protocol.crd` writes it."""

import sys
from pathlib import Path
from typing import Any

import yaml

from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import GROUP, KIND, PLURAL, VERSION
from edgetrain_protocol.rules import VALIDATIONS, rule
from edgetrain_protocol.status import JobStatus
from edgetrain_protocol.structural import Schema, spec_schema, status_schema

FILE = f"{GROUP}_{PLURAL}.yaml"
DIRECTORIES = ("crds", "charts/edgetrain/files")
"""The chart has a copy of its own: Helm reads nothing outside it."""
HEADER = "# Generated from protocol/ by `make crds`; do not edit.\n"

COLUMNS = (
    ("State", "string", ".status.phase", 0),
    ("Workers", "string", ".status.workers.summary", 0),
    ("Progress", "string", ".status.progress.summary", 0),
    ("Aggregator", "string", ".status.aggregator", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Queue", "string", ".spec.scheduling.queue", 1),
    ("Training", "integer", ".status.workers.training", 1),
    ("Paused", "integer", ".status.workers.paused", 1),
    ("Epoch", "integer", ".status.progress.epoch", 1),
    ("Loss", "number", ".status.progress.loss", 1),
    ("Samples/s", "number", ".status.progress.samplesPerSecond", 1),
    ("Generation", "integer", ".status.groups[0].generation", 1),
    ("Revision", "integer", ".status.plan.revision", 1),
    ("Failures", "integer", ".status.failures", 1),
)
"""Name, type, path, priority: those of priority 1 come with `-o wide`."""

NAME_FITS = rule(
    "self.metadata.name.size() <= 63",
    "a job's name becomes a label of its pods: shorten it to at most 63 characters",
)


def root_schema() -> Schema:
    """Schema of the whole object."""
    return {
        "description": "A program trained together by the edge nodes that a selector names.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec_schema(JobSpec),
            "status": status_schema(JobStatus),
        },
        VALIDATIONS: [NAME_FITS],
    }


def version() -> dict[str, Any]:
    """The one version that is served."""
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}
            for name, kind, path, priority in COLUMNS
        ],
        "schema": {"openAPIV3Schema": root_schema()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.nodes.max",
                "statusReplicasPath": ".status.workers.ready",
                "labelSelectorPath": ".status.selector",
            },
        },
    }


def custom_resource_definition() -> dict[str, Any]:
    """The manifest as plain data."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["etj"],
            },
            "scope": "Namespaced",
            "versions": [version()],
        },
    }


class _Plain(yaml.SafeDumper):
    """Writes a shared list in full each time: an alias would be lost on readers of the file."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def render() -> str:
    """The manifest as it is kept in crds/."""
    return HEADER + yaml.dump(custom_resource_definition(), Dumper=_Plain, sort_keys=False, width=110)


if __name__ == "__main__":
    for directory in sys.argv[1:] or DIRECTORIES:
        (Path(directory) / FILE).write_text(render())
