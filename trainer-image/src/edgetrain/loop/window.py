"""Gradients that a program has summed up and not used yet, as it does over several batches."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from edgetrain.engine.state.flat_model import FlatModel


class GradientWindow:
    """Part of the state while it is open: who takes over goes on with these gradients."""

    def __init__(self, flat: FlatModel, optimizers: Sequence[Optimizer], *, gives_up: bool) -> None:
        """`gives_up`: a step may come to nothing, and what was there before it is to be there again."""
        self._flat, self._gives_up = flat, gives_up
        self._all = {id(o): [id(p) for g in o.param_groups for p in g["params"]] for o in optimizers}
        self._open = frozenset[int]()
        """Optimisers that have taken no step since gradients were made."""
        self._before: dict[str, Tensor] | None = None
        """What was summed up before the backward that is under way."""

    def keep(self) -> None:
        """A backward begins, which adds this member's own gradients to what is there."""
        if self._gives_up:
            self._before = {place: grad.clone() for place, grad in self._unused().items()}

    def let_go(self) -> None:
        """It is over."""
        self._before = None

    def open(self) -> None:
        """Gradients were made."""
        self._open = frozenset(self._all)

    def close(self, optimizer: Optimizer) -> None:
        """It has moved what its gradients are of."""
        self._open -= {id(optimizer)}

    def state_dict(self) -> dict[str, Tensor]:
        """By the place of each trained parameter whose gradient is not used yet."""
        return self._unused() if self._before is None else self._before

    def _unused(self) -> dict[str, Tensor]:
        if not self._open:
            return {}
        wanted = {parameter for optimizer in self._open for parameter in self._all[optimizer]}
        made = {
            str(n): p.grad for n, p in enumerate(self._flat.trained) if id(p) in wanted and p.grad is not None
        }
        return {place: grad.to_dense() for place, grad in made.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._open = frozenset(self._all) if state else frozenset()
        for place, parameter in enumerate(self._flat.trained):
            grad = state.get(str(place))
            parameter.grad = None if grad is None else grad.clone().to(parameter.device)
