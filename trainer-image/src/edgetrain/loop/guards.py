"""Refuses a step that would let this member drift from the others without a word."""

from typing import Any

from torch.optim import Optimizer

from edgetrain.engine.errors import BadProgram
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.loop.parts import Parts
from edgetrain.loop.torch_calls import inside_backward


class Guards:
    """Of one program; an optimiser is looked at again when it has more or fewer parameters."""

    def __init__(self, parts: Parts, flat: FlatModel) -> None:
        self._parts, self._reduced = parts, flat.trained_ids
        self._checked: dict[int, int] = {}

    def check(self, optimizer: Optimizer) -> None:
        """
        Raises:
            BadProgram: it moves what is not the same on all members.
        """
        name = type(optimizer).__name__
        if inside_backward():
            raise BadProgram(
                f"the {name} takes a step within backward, when gradients are this worker's alone: call it "
                "after backward"
            )
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        if self._checked.get(id(optimizer)) == count:
            return
        if not any(optimizer is one for one in self._parts.optimizers):
            raise BadProgram(
                f"a {name} that was not given to session.prepare takes a step: its state would stay on this "
                "worker; give it to session.prepare before the loop"
            )
        if any(id(p) not in self._reduced for group in optimizer.param_groups for p in group["params"]):
            raise BadProgram(
                f"the {name} moves parameters that were added to it after the first batch: give them to it "
                "from the start, and freeze them by requires_grad_(False) until they are to be trained"
            )
        if getattr(optimizer.step, "_wrapped_by_lr_sched", False) and not self._scheduled(optimizer):
            raise BadProgram(
                f"the {name} has a learning-rate scheduler that was not given to session.prepare: after a "
                "restart it would begin anew; give it to session.prepare too"
            )
        self._checked[id(optimizer)] = count

    def _scheduled(self, optimizer: Optimizer) -> bool:
        def follows(thing: Any) -> bool:
            return getattr(thing, "optimizer", None) is optimizer

        return any(follows(thing) for thing in self._parts.objects)
