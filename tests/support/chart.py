"""The chart, as Helm renders it."""

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.apiserver import ApiServer
from tests.support.programs import helm

CHART = Path(__file__).parents[2] / "charts" / "edgetrain"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE = ("edgetrain", "--namespace", "system")
SCHEMAS = sorted((Path(__file__).parent / "crds").glob("*.yaml"))
"""CRDs of cert-manager, the Prometheus operator and Kueue, as they publish them."""
RULES = {
    "groups": [
        {
            "name": "sample",
            "rules": [
                {
                    "alert": "Sample",
                    "expr": 'up{job="x"} == 0',
                    "for": "5m",
                    "labels": {"severity": "warning"},
                    "annotations": {
                        "summary": "{{ $labels.instance }} is {{ $value | humanize }}",
                        "runbook_url": "docs/runbooks/sample.md",
                    },
                }
            ],
        }
    ]
}
DASHBOARD = '{"title": "Sample <of> \\"panels\\"", "panels": [{"legend": "{{node}}"}]}\n'

Manifest = dict[str, Any]


def render(values: Path, *more: str, chart: Path = CHART) -> list[Manifest]:
    text = helm("template", *RELEASE[:1], chart, *RELEASE[1:], "--values", values, *more).stdout
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


@cache
def rendered(values: Path, chart: Path = CHART) -> tuple[Manifest, ...]:
    """The same for who only looks at it."""
    return tuple(render(values, chart=chart))


def find(manifests: list[Manifest] | tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    return next(m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)


def of_kind(manifests: list[Manifest] | tuple[Manifest, ...], kind: str) -> list[Manifest]:
    return [m for m in manifests if m["kind"] == kind]


def with_samples(directory: Path) -> Path:
    """A copy of the chart with one file of rules and one dashboard, and no others."""
    copy = directory / "edgetrain"
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("rules", "dashboards"))
    for folder, name, text in (
        ("rules", "sample.yaml", yaml.safe_dump(RULES)),
        ("dashboards", "sample.json", DASHBOARD),
    ):
        (copy / "files" / folder).mkdir()
        (copy / "files" / folder / name).write_text(text)
    return copy


def teach_others_kinds(api: ApiServer, schemas: Sequence[Path] = SCHEMAS) -> None:
    """Let the server know, and check, the kinds of others that chart and operator make objects of."""
    for path in schemas:
        api.kubectl("apply", "--server-side", "-f", str(path))
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        api.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
