"""Variables of a program that go along with its state."""

from collections import OrderedDict, defaultdict
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.data import SamplerState
from edgetrain.engine.errors import BadProgram
from edgetrain.engine.place import Place
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import capture, restore
from edgetrain.link import Position
from edgetrain.loop.user_state import UserState


def frame_of(module: ModuleType) -> FrameType:
    exec("import sys\nframe = sys._getframe()", module.__dict__)
    found: FrameType = module.__dict__["frame"]
    return found


def module(**values: Any) -> Any:
    made = ModuleType("program")
    made.__dict__.update(values)
    return made


def test_variables_come_back_in_the_same_dicts_and_lists_and_of_their_kind() -> None:
    counts, order, losses = defaultdict(int, a=1), OrderedDict(x=1, y=2), [0.5]
    weights = torch.ones(2, requires_grad=True)
    program = module(
        best=np.float64(0.25), counts=counts, order=order, losses=losses, weights=weights, gone=1
    )
    state = UserState()
    state["own"] = 3
    state.keep(frame_of(program), ("best", "counts", "order", "losses", "weights", "gone"))
    del program.gone
    ledger = Ledger(SamplerState.fresh(4, 0), 2, 1)
    kept = capture(Position(), ledger, [], [state], {}, Place())
    counts["b"] += 5
    order.clear()
    losses.append(1.0)
    program.best, program.weights, program.gone = 9.0, torch.zeros(2, requires_grad=True), 2
    state["own"] = 4
    restore(kept, [state])
    assert program.counts is counts
    assert counts == {"a": 1}
    assert counts["new"] == 0
    assert program.order is order
    assert list(order) == ["x", "y"]
    assert program.losses is losses
    assert losses == [0.5]
    assert (program.best, program.gone, state["own"]) == (0.25, 2, 3)
    assert program.weights.tolist() == [1.0, 1.0]
    assert program.weights.requires_grad


def test_variables_of_two_modules() -> None:
    state, one, other = UserState(), module(mine=1), module(count=2, mine=3)
    state.keep(frame_of(one), ("mine",))
    state.keep(frame_of(other), ("count",))
    saved = state.state_dict()
    one.mine, other.count = 7, 8
    state.load_state_dict(saved)
    assert (one.mine, other.count, other.mine) == (1, 2, 3)
    with pytest.raises(BadProgram, match="mine of two modules"):
        state.keep(frame_of(other), ("mine",))
    with pytest.raises(BadProgram, match="missing, which has no value yet"):
        state.keep(frame_of(other), ("missing",))
