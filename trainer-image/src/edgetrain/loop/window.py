"""Gradients that a program has summed up and not used yet, as it does over several batches."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from edgetrain.engine.state.flat_model import FlatModel


class GradientWindow:
    """Part of the state while it is open: who takes over goes on with these gradients."""

    def __init__(self, flat: FlatModel, optimizers: Sequence[Optimizer]) -> None:
        self._flat = flat
        self._all = {id(o): [id(p) for g in o.param_groups for p in g["params"]] for o in optimizers}
        self._open = frozenset[int]()
        """Optimisers that have taken no step since gradients were made."""

    def open(self) -> None:
        """Gradients were made."""
        self._open = frozenset(self._all)

    def close(self, optimizer: Optimizer) -> None:
        """It has moved what its gradients are of."""
        self._open -= {id(optimizer)}

    def state_dict(self) -> dict[str, Tensor]:
        """By the place of each trained parameter whose gradient is not used yet."""
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
