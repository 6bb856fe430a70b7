"""Checkpoints of a small model, written as a job's trainer writes them."""

from pathlib import Path

import torch

from edgetrain.data import Record
from edgetrain.engine.checkpoint import Checkpoints
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.state import Snapshot, capture, encode
from edgetrain.local import Position

LAYOUT = ["parameter weight [1, 2] float32", "parameter bias [1] float32"]


def snapshot(lineage: int, step: int) -> Snapshot:
    ledger = Ledger(Record.fresh(10, 0), 4, 1)
    return capture(Position(lineage, None, step), ledger, LAYOUT, [torch.nn.Linear(2, 1)])


def identity(lineage: int, step: int) -> str:
    return snapshot(lineage, step).identity


def save(checkpoints: Checkpoints, lineage: int, step: int) -> None:
    state = snapshot(lineage, step)
    checkpoints.save(lineage, step, encode(state), state.identity)


def saved(root: Path, worker: str = "a", lineage: int = 1, steps: tuple[int, ...] = (10,)) -> Checkpoints:
    checkpoints = Checkpoints(root, worker)
    for step in steps:
        save(checkpoints, lineage, step)
    return checkpoints


def newest(checkpoints: Checkpoints) -> tuple[int, int] | None:
    """Lineage and step of the newest that can be loaded, as workers together look for one."""
    for one in reversed(checkpoints.held()):
        found, _ = checkpoints.find(*one.place, one.identity)
        if found is not None:
            return found.position.lineage, found.position.committed
    return None


def damages(checkpoints: Checkpoints) -> list[str]:
    """What is told of the damage that is met on the way to any of them."""
    told = [str(d) for one in checkpoints.held() for d in checkpoints.find(*one.place, one.identity)[1]]
    return sorted({*told, *(str(d) for d in checkpoints.find(0, 0, "none")[1])})
