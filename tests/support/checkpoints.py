"""Checkpoints of a small model, written as a job's trainer writes them."""

from pathlib import Path

import torch

from edgetrain.data import Record
from edgetrain.engine.checkpoint import Checkpoints
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.state import capture, encode
from edgetrain.local import Position

LAYOUT = ["parameter weight [1, 2] float32", "parameter bias [1] float32"]


def snapshot(lineage: int, step: int) -> bytes:
    ledger = Ledger(Record.fresh(10, 0), 4, 1)
    return encode(capture(Position(lineage, None, step), ledger, LAYOUT, [torch.nn.Linear(2, 1)]))


def saved(root: Path, worker: str = "a", lineage: int = 1, steps: tuple[int, ...] = (10,)) -> Checkpoints:
    checkpoints = Checkpoints(root, worker)
    for step in steps:
        checkpoints.save(lineage, step, snapshot(lineage, step))
    return checkpoints
