"""Gradients that a program has summed up and not used yet, as it does over several batches."""

from typing import Any

from torch import Tensor

from edgetrain.engine.state.flat_model import FlatModel


class GradientWindow:
    """Part of the state while it is open: who takes over goes on with these gradients."""

    def __init__(self, flat: FlatModel) -> None:
        self._flat = flat
        self.open = False
        """Gradients were made since an optimiser has last moved anything."""

    def state_dict(self) -> dict[str, Tensor]:
        """By the place of each trained parameter that has a gradient."""
        if not self.open:
            return {}
        made = {str(place): p.grad for place, p in enumerate(self._flat.trained) if p.grad is not None}
        return {place: grad.to_dense() for place, grad in made.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.open = bool(state)
        for place, parameter in enumerate(self._flat.trained):
            grad = state.get(str(place))
            parameter.grad = None if grad is None else grad.clone().to(parameter.device)
