"""What is left of a job for whoever asks why it did not train: its status, all logs, what workers held."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.steps import Begin, Step
from edgelab.demo.install import OPERATOR_NAMESPACE
from edgelab.errors import LabError

if TYPE_CHECKING:
    from benchmarks.bed import Bed

KEPT = Path(__file__).parent.parent / "build" / "benchmarks"
"""Where the logs of what failed are kept."""
_SHOWN_LINES = 3


def explain(test: "Bed", name: str) -> None:
    """Print what the job says of itself and each worker's last words; keep all logs below `build`."""
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "job.yaml": ("-n", test.namespace, "get", "etj", test.job, "-o", "yaml"),
        "pods.txt": ("-n", test.namespace, "get", "pods", "-o", "wide"),
        "plan.yaml": ("-n", test.namespace, "get", "configmaps", "-o", "yaml"),
        "events.txt": ("-n", test.namespace, "get", "events", "--sort-by=.lastTimestamp"),
        "operator.log": (
            "-n",
            OPERATOR_NAMESPACE,
            "logs",
            "-l",
            "app.kubernetes.io/name=edgetrain-operator",
            "--tail=-1",
        ),
    }
    for file, arguments in parts.items():
        (folder / file).write_text(_answer(test, *arguments))
    print(_status_lines(test), flush=True)
    test.journal.read()
    for node in test.nodes:
        copy_state(test, node, folder)
        for line in test.journal.words[node][-_SHOWN_LINES:]:
            print(f"    {node}: {line[:300]}", flush=True)
    keep_journal(test, folder)
    print(f"  all of it: {folder}", flush=True)


def keep_journal(test: "Bed", folder: Path) -> None:
    """All starts of programs and all steps, in the order of time; and what else each node's pods said."""
    folder.mkdir(parents=True, exist_ok=True)
    said: list[Begin | Step] = [*test.journal.begun, *test.journal.steps]
    lines = sorted(said, key=lambda line: line.at)
    text = "".join(f"{json.dumps({type(line).__name__: asdict(line)})}\n" for line in lines)
    (folder / "journal.jsonl").write_text(text)
    for node in test.nodes:
        (folder / f"{node}.log").write_text("\n".join(test.journal.words[node]))


def copy_state(test: "Bed", node: str, folder: Path) -> None:
    """What the supervisors on a node hold on disk: votes, plan, incarnation."""
    for file in test.lab.node(node).var.glob("lib/kubelet/pods/*/volumes/*/state/supervisor/*.json"):
        pod = file.parts[-6]
        (folder / f"{node}-{pod[:8]}-{file.name}").write_bytes(file.read_bytes())


def _answer(test: "Bed", *arguments: str) -> str:
    try:
        return test.lab.kubectl(*arguments)
    except LabError as refused:
        return str(refused)


def _status_lines(test: "Bed") -> str:
    try:
        status = test.status()
    except LabError as refused:
        return f"    {refused}"
    lines = [f"{c.type}={c.status} {c.reason}: {c.message}" for c in status.conditions]
    lines += [f"{n.node} {n.state}: {n.message}" for n in status.nodes]
    lines.append(f"revision {status.plan.revision}, step {status.progress.step}")
    lines += [f"group {g.name}, generation {g.generation}, step {g.progress.step}" for g in status.groups]
    return "\n".join(f"    {line}" for line in lines)
