"""What the demo ends with: where the model is, how good it is, and whether every promise was kept."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table

from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain_protocol.names import MODEL_DIR
from edgetrain_protocol.status import JobStatus

Manifest = dict[str, Any]

ACCURACY_GOAL = 0.95


@dataclass(frozen=True)
class Outcome:
    """A finished demo."""

    status: JobStatus
    accuracy: float
    """Held-out, between 0 and 1."""
    model: Path
    seconds: float
    story: Sequence[str]
    unfinished: tuple[str, ...]
    """Acts that were not seen to be overcome."""

    @property
    def kept_its_promises(self) -> bool:
        return self.accuracy >= ACCURACY_GOAL and not self.unfinished


def model_place(status: JobStatus) -> tuple[str, str]:
    """Node and path of the model, from the job's status.

    Raises:
        LabError: the job ended without one; the text says what its conditions say.
    """
    node, colon, path = (status.model or "").partition(":")
    if not colon:
        said = "; ".join(f"{c.type}={c.status}: {c.message}" for c in status.conditions)
        raise LabError(f"the job left no model ({status.phase}): {said}")
    return node, path


def model_file(lab: Lab, namespace: str, status: JobStatus) -> Path:
    """The model on this machine: the file on the node's volume that is mounted at MODEL_DIR."""
    node, path = model_place(status)
    pod = _pod_on(lab, namespace, node)
    volume = _mounted(pod, MODEL_DIR)
    claim = next(v for v in pod["spec"]["volumes"] if v["name"] == volume)["persistentVolumeClaim"][
        "claimName"
    ]
    name = lab.kubectl("-n", namespace, "get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}").strip()
    return lab.node(node).volumes / name / Path(path).relative_to(MODEL_DIR)


def held_out_accuracy(lab: Lab, namespace: str, status: JobStatus) -> float:
    """What the program printed on the node that saved the model."""
    node, _ = model_place(status)
    pod = _pod_on(lab, namespace, node)["metadata"]["name"]
    log = lab.kubectl("-n", namespace, "logs", pod, "-c", "trainer")
    if not (found := re.search(r"held-out accuracy: ([0-9.]+)", log)):
        raise LabError(f"the program on {node} printed no accuracy; its log ends:\n{log[-1000:]}")
    return float(found.group(1))


def _pod_on(lab: Lab, namespace: str, node: str) -> Manifest:
    field = f"spec.nodeName={node}"
    pods = json.loads(lab.kubectl("-n", namespace, "get", "pods", "--field-selector", field, "-o", "json"))
    if not pods["items"]:
        raise LabError(f"the pod on {node} is gone, and its log with it")
    return dict(pods["items"][-1])


def _mounted(pod: Manifest, path: str) -> str:
    trainer = next(c for c in pod["spec"]["containers"] if c["name"] == "trainer")
    return str(next(m["name"] for m in trainer["volumeMounts"] if m["mountPath"] == path))


def summary(outcome: Outcome) -> RenderableType:
    """The closing picture."""
    progress = outcome.status.progress
    grid = Table.grid(padding=(0, 3))
    good = outcome.accuracy >= ACCURACY_GOAL
    verdict = "" if good else f"   below the goal of {ACCURACY_GOAL}"
    grid.add_row("held-out accuracy", f"[bold]{outcome.accuracy:.3f}[/]{verdict}")
    grid.add_row("steps", f"{progress.step}, {progress.epoch} epochs")
    grid.add_row("took", f"{outcome.seconds:.0f} s, with the cluster's start")
    for line in outcome.story[3:]:
        grid.add_row("", line.strip())
    if outcome.unfinished:
        grid.add_row("[red]not seen to be overcome[/]", ", ".join(outcome.unfinished))
    grid.add_row("model", f"[bold]{outcome.model}[/]")
    kept = outcome.kept_its_promises
    return Panel(
        grid, title="done" if kept else "done, not all as promised", border_style="green" if kept else "red"
    )
