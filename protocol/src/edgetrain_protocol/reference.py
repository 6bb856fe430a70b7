"""docs/job.md: every field of a job, from the models. `python -m edgetrain_protocol.reference` writes it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edgetrain_protocol.crd import COLUMNS, NAME_FITS, root_schema, runtime_schema
from edgetrain_protocol.rules import VALIDATIONS
from edgetrain_protocol.runtime import ANYTHING, CHANGEABLE, JOBS_OWN, covers
from edgetrain_protocol.structural import Schema

FILE = Path("docs/job.md")
HEAD = """\
<!-- Generated from protocol/ by `make crds`; do not edit. -->
# EdgeTrainingJob, field by field

`apiVersion: edgetrain.io/v1alpha1`, `kind: EdgeTrainingJob`, short name `etj`. The same text is in
`kubectl explain etj.spec`. Fields that the API server does not know are refused by `kubectl`'s strict
validation, and dropped otherwise.

A job cannot be changed but where a field says *mutable*: delete it and create it anew.
"""
RUNTIME_HEAD = """\
## EdgeTrainingRuntime

`apiVersion: edgetrain.io/v1alpha1`, `kind: EdgeTrainingRuntime`, one for all namespaces, short name `etr`:
what a platform team says for jobs that name it in `spec.runtimeRef` ([runtimes.md](runtimes.md)). Of the
fields above, its spec has those below, which mean the same. It can be changed at any time; jobs that have
begun keep what they began with. Of its own it has:
"""
RUNTIMES_OWN = ("namespaces", "mayChange")
KUBERNETES = "As in Kubernetes'"
"""How fields of Kubernetes' own shapes are described; its own documents say the rest."""


def render() -> str:
    """The page."""
    properties = root_schema()["properties"]
    runtime = runtime_schema()["properties"]["spec"]
    rules = [NAME_FITS, *_rules(properties["spec"]), *_rules(runtime)]
    messages = dict.fromkeys(r["message"] for r in rules if "oldSelf" not in r["rule"])
    return "\n".join(
        [
            HEAD,
            *_section("spec", properties["spec"]),
            "## What is refused\n",
            "Beside types and bounds, the API server checks:\n",
            *(f"- {message}" for message in messages),
            "",
            *_section("status", properties["status"]),
            "## What `kubectl get etj` shows\n",
            *_table(("column", "field", "shown"), _columns()),
            RUNTIME_HEAD,
            *(f"- `spec.{name}`: {_text(runtime['properties'][name])}" for name in RUNTIMES_OWN),
            "",
            *_table(("field", "a job that names it"), _shared()),
        ]
    )


def _columns() -> Iterator[tuple[str, ...]]:
    for title, _, path, priority in COLUMNS:
        yield title, f"`{path.lstrip('.')}`", "with `-o wide`" if priority else "always"


def _shared() -> Iterator[tuple[str, ...]]:
    wholes = {path.rpartition(".")[0] for path in CHANGEABLE}
    for path in CHANGEABLE:
        if path != ANYTHING and path not in wholes:
            own = any(covers(whole, path) for whole in JOBS_OWN)
            unless = "says it unless the runtime does, or where mayChange has it"
            yield f"`spec.{path}`", unless if own else "says it where mayChange has it"


def _section(part: str, schema: Schema) -> list[str]:
    rows = [
        (f"`{path}`", _type(found), "required" if needed else _default(found), _text(found))
        for path, found, needed in _fields(schema, part)
    ]
    return [f"## {part}\n", *_table(("field", "type", "default", "what"), rows)]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [" | ".join(cells) for cells in (head, ("---",) * len(head), *rows)]
    return [*(f"| {line} |" for line in lines), ""]


def _fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """Path, schema and whether it is required, of every field below; not into Kubernetes' own shapes."""
    for name, child in schema.get("properties", {}).items():
        if child.get("description", "").startswith(KUBERNETES):
            continue
        here = f"{path}.{name}"
        yield here, child, name in schema.get("required", ())
        yield from _fields(child, here)
        yield from _fields(child.get("items", {}), f"{here}[]")


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{choice}`" for choice in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}, at most {schema['maxItems']}"
    if schema["type"] == "object" and "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}, at most {schema['maxProperties']}"
    if "minimum" in schema:
        return f"{schema['type']}, {schema['minimum']} to {schema['maximum']}"
    return str(schema["type"])


def _default(schema: Schema) -> str:
    value: Any = schema.get("default")
    if value is None or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _text(schema: Schema) -> str:
    return " ".join(schema.get("description", "").split()).replace("|", "\\|")


def _rules(node: object) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        yield from node.get(VALIDATIONS, ())
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _rules(child)


if __name__ == "__main__":
    FILE.write_text(render())
