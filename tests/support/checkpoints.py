"""Checkpoints of a small model, written as a job's trainer writes them."""

from pathlib import Path

import torch

from edgetrain.data import SamplerState
from edgetrain.engine.errors import BadCheckpoint
from edgetrain.engine.state.checkpoint import Checkpoints
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot, capture
from edgetrain.link import Position
from edgetrain_protocol.history import NO_HISTORY
from tests.support.histories import of_generation

LAYOUT = ["parameter weight [1, 2] float32", "parameter bias [1] float32"]


def snapshot(generation: int, step: int) -> Snapshot:
    ledger = Ledger(SamplerState.fresh(10, 0), 4, 1)
    return capture(
        Position(of_generation(generation), None, step), ledger, LAYOUT, [torch.nn.Linear(2, 1)], {}
    )


def saved(root: Path, worker: str = "a", generation: int = 1, steps: tuple[int, ...] = (10,)) -> Checkpoints:
    checkpoints = Checkpoints(root, worker)
    for step in steps:
        checkpoints.save(snapshot(generation, step))
    return checkpoints


def newest(checkpoints: Checkpoints, most: int) -> tuple[Snapshot | None, list[BadCheckpoint]]:
    """The newest sound one up to step `most`, and what was found to be damaged on the way to it."""
    damages: dict[str, BadCheckpoint] = {}
    held = [(*m.place, m.identity) for m in reversed(checkpoints.held()) if m.step <= most]
    for history, step, identity in [*held, (NO_HISTORY, 0, "")]:
        found, more = checkpoints.find(history, step, identity)
        damages |= {str(damage): damage for damage in more}
        if found:
            return found, list(damages.values())
    return None, list(damages.values())
