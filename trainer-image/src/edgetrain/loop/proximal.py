"""Steps that are pulled back to the version that the group's work is measured from, so that groups whose data
differ drift less apart before their work is merged.

The gradient of (mu / 2) |w - base|^2 is added to the group's for the time of an optimiser's step: Li et al.,
"Federated optimization in heterogeneous networks" (FedProx, 2020), equation 2. Not in backward: a loss scale
would multiply it, and clipping would take it for part of the gradient.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer

from edgetrain.engine.state.shared_vector import SharedVectors


class ProximalTerm:
    """For the program's thread, on all members of a group alike, also where they do others' steps again."""

    def __init__(self, vectors: SharedVectors) -> None:
        self._vectors = vectors
        self._gradients: list[tuple[Tensor, Tensor]] = []
        """The parameters that a step is moving, and what their gradients are without it."""

    def add(self, optimizer: Optimizer) -> None:
        """Before its step. Not to sparse gradients: of what has none nothing moves."""
        mu = self._vectors.proximal
        if not mu:
            return
        bases = self._vectors.bases()
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            base, gradient = bases.get(id(parameter)), parameter.grad
            if base is not None and gradient is not None and not gradient.is_sparse:
                self._gradients.append((parameter, gradient))
                away = parameter.detach() - base.to(parameter.device, parameter.dtype)
                parameter.grad = torch.add(gradient, away, alpha=mu)

    def take_away(self) -> None:
        """After the step: the program finds its own gradients."""
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        self._gradients.clear()
