"""What a person asks to be run: which program, on how many workers of what kind. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgelab.errors import LabError
from edgelab.rates import Link, parse_cpu, parse_link
from edgetrain_local.errors import RunError
from edgetrain_operator.core.grace import USUAL_SECONDS
from edgetrain_operator.core.model import Job
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.status import JobStatus
from edgetrain_protocol.strategy import Preset

Item = TypeVar("Item")

MOST_WORKERS = 32
"""Each is three processes, one of them with torch."""
PRESETS = tuple(preset for preset in Preset if preset not in (Preset.N_SYNC, Preset.N_BATCH_SYNC))
"""Those that need no number beside them."""
UNSHAPED = "-"
"""In the place of a link or a processor: as this machine has it."""


@dataclass(frozen=True)
class WorkerWish:
    """One worker's pretended device."""

    node: str
    link: Link | None = None
    cpu: float | None = None
    """Of one processor."""


@dataclass(frozen=True)
class Wish:
    command: tuple[str, ...]
    """What runs as each worker."""
    title: str
    workers: tuple[WorkerWish, ...]
    models: Path = Path("model")
    """Absolute: where the trained one is put. All workers write the same one."""
    at_least: int = 1
    """Fewer train no step."""
    local_data: bool = False
    preset: Preset = Preset.AUTO
    failures: int = 0
    """Of the program, before all is given up."""
    data: str = ""
    """A directory that each worker finds as EDGETRAIN_DATA_DIR; {node} in it is its node's name."""

    def data_of(self, node: str) -> Path:
        """Absolute: the directory of its data."""
        return Path(self.data.replace("{node}", node)).resolve()

    @property
    def shaped(self) -> bool:
        return any(worker.link for worker in self.workers)


def workers(count: int, links: str, cpus: str) -> tuple[WorkerWish, ...]:
    """That many; `links` and `cpus` are lists with commas, gone through again where they are shorter.

    Raises:
        RunError: a number, a link or a processor is none.
    """
    if not 1 <= count <= MOST_WORKERS:
        raise RunError(f"-n {count}: give 1 to {MOST_WORKERS} workers")
    try:
        lines = [None if part == UNSHAPED else parse_link(part) for part in _parts(links)]
        shares = [None if part == UNSHAPED else parse_cpu(part) for part in _parts(cpus)]
    except LabError as error:
        raise RunError(str(error)) from error
    for name, given in (("--link", lines), ("--cpu", shares)):
        if len(given) > count:
            raise RunError(f"{name} names {len(given)} workers, and there are {count}: see -n")
    if late := next((line for line in lines if line and (line.delay or line.loss)), None):
        raise RunError(f"{late}: links here have a rate alone; delay and loss need the lab (make demo)")
    return tuple(WorkerWish(f"edge-{n + 1}", _again(lines, n), _again(shares, n)) for n in range(count))


def job_of(wish: Wish, uid: str, created: float, status: JobStatus, *, suspend: bool = False) -> Job:
    """The same as an EdgeTrainingJob."""
    document: dict[str, Any] = {
        "suspend": suspend,
        "program": {"command": [wish.title]},  # What runs, nodes know; a manifest has bounds.
        "nodes": {"min": wish.at_least, "max": len(wish.workers)},
        "data": {"policy": "local" if wish.local_data else "distributed"},
        "strategy": {"checkpointEverySeconds": 10, "preset": wish.preset},
        # A node's directory for them outlives its pods.
        "storage": {"checkpoint": {"volume": {"emptyDir": {}}}},
        "template": {"spec": {"terminationGracePeriodSeconds": USUAL_SECONDS}},
        "runPolicy": {"backoffLimit": wish.failures},
    }
    return Job(wish.title, "local", uid, 1, JobSpec.model_validate(document), status, created)


def title_of(text: str, otherwise: str) -> str:
    """A name that Kubernetes takes, as near to the text as it comes."""
    return re.sub("[^a-z0-9]+", "-", text.lower())[:40].strip("-") or otherwise


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _again(items: Sequence[Item], index: int) -> Item | None:
    return items[index % len(items)] if items else None
