"""How a job goes on after faults: when it trains again and, where it does not, what each worker last said."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.bed import Bed
from benchmarks.faults import Struck
from benchmarks.steps import Begin, Step
from benchmarks.waiting import wait_for
from edgelab.demo.install import OPERATOR_NAMESPACE
from edgelab.errors import LabError

KEPT = Path(__file__).parent.parent / "build" / "benchmarks"
"""Where the logs of what failed are kept."""
START_SECONDS = 300.0
"""For programs to begin: on a busy machine torch's import alone takes a minute."""
_SHOWN_LINES = 3


@dataclass(frozen=True)
class Aftermath:
    """How training went on after the last fault. Seconds.

    What was killed has to be started first, which takes what the machine takes, torch's import most of
    all. So time counts from when the last fault was over and all programs killed had begun again.
    """

    starting: float
    """From the end of the last fault until all programs killed had begun again."""
    to_next: float
    """From then to the next committed step."""
    to_whole: float
    """From then to the first step with samples of all members."""


def aftermath(
    struck: Sequence[Struck], steps: Sequence[Step], begun: Sequence[Begin], whole: int
) -> Aftermath | None:
    """None where training has not come back to `whole` members, or a program killed never began again."""
    over, again = max(fault.ended for fault in struck), begun_again(struck, begun)
    if None in again:
        return None
    start = max([over, *(at for at in again if at is not None)])
    fresh = [step for step in steps if step.at > start and not step.replayed]
    full = [step.at for step in fresh if step.members == whole]
    if not full:
        return None
    return Aftermath(start - over, min(step.at for step in fresh) - start, min(full) - start)


def begun_again(struck: Sequence[Struck], begun: Sequence[Begin]) -> list[float | None]:
    """When each program that faults killed began next, None where it has not; Unix times, seconds."""
    killed = {node: fault.began for fault in struck if fault.kills for node in fault.nodes}
    return [
        min((one.at for one in begun if one.node == node and one.at > at), default=None)
        for node, at in killed.items()
    ]


def wait_whole_again(test: Bed, struck: Sequence[Struck], quiet_seconds: float) -> None:
    """Until all nodes train, which has to come so soon after all programs killed have begun again.

    Raises:
        TimeoutError: it did not, or a program never began.
    """

    def started() -> bool:
        test.journal.read()
        return None not in begun_again(struck, test.journal.begun)

    wait_for(started, START_SECONDS, "all programs killed to begin again", every=0.3)
    test.wait_training(len(test.nodes), quiet_seconds)


def last_resorts(test: Bed) -> int:
    """How often the job was found stalled; it must never come to that."""
    return len(test.events("NobodyTrains"))


def restore(test: Bed) -> None:
    """All links whole, all nodes on, the operator there: what a fault that failed half-way has left."""
    test.lab.heal()
    for view in test.lab.status().nodes:
        if view.power == "off":
            test.lab.node_start(view.name)
    test.scale_operator(1)


def explain(test: Bed, name: str) -> None:
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


def keep_journal(test: Bed, folder: Path) -> None:
    """All starts of programs and all steps, in the order of time; and what else each node's pods said."""
    folder.mkdir(parents=True, exist_ok=True)
    said: list[Begin | Step] = [*test.journal.begun, *test.journal.steps]
    lines = sorted(said, key=lambda line: line.at)
    text = "".join(f"{json.dumps({type(line).__name__: asdict(line)})}\n" for line in lines)
    (folder / "journal.jsonl").write_text(text)
    for node in test.nodes:
        (folder / f"{node}.log").write_text("\n".join(test.journal.words[node]))


def copy_state(test: Bed, node: str, folder: Path) -> None:
    """What the supervisors on a node hold on disk: votes, plan, incarnation."""
    for file in test.lab.node(node).var.glob("lib/kubelet/pods/*/volumes/*/state/supervisor/*.json"):
        pod = file.parts[-6]
        (folder / f"{node}-{pod[:8]}-{file.name}").write_bytes(file.read_bytes())


def _answer(test: Bed, *arguments: str) -> str:
    try:
        return test.lab.kubectl(*arguments)
    except LabError as refused:
        return str(refused)


def _status_lines(test: Bed) -> str:
    try:
        status = test.status()
    except LabError as refused:
        return f"    {refused}"
    lines = [f"{c.type}={c.status} {c.reason}: {c.message}" for c in status.conditions]
    lines += [f"{n.node} {n.state}: {n.message}" for n in status.nodes]
    lines.append(
        f"lineage {status.plan.lineage}, revision {status.plan.revision}, step {status.progress.step}"
    )
    return "\n".join(f"    {line}" for line in lines)
