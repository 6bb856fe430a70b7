"""What a backward's graph tells before it runs: whether it makes gradients of what is trained, and whether
its loss is a sum."""

from collections.abc import Collection
from typing import Any

import torch

MOST_NODES = 2000
"""A graph that belongs to what is trained shows a parameter among its first few: one that does not so soon
is looked at afterwards, by its gradients."""
_SUM = torch.nn._reduction.get_enum("sum")
"""As autograd's nodes have it."""


def leads_to(root: torch.Tensor, parameters: Collection[int]) -> bool:
    """Whether it surely does. Not sure: what is computed again in backward shows nothing of it before.

    Args:
        parameters: ids of what is trained.
    """
    left: list[Any] = [root.grad_fn]
    seen: set[Any] = set()
    while left and len(seen) < MOST_NODES:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if following := node.next_functions:
            left.extend(one for one, _ in following)
        elif id(getattr(node, "variable", None)) in parameters:
            return True
    return False


def is_a_sum(root: torch.Tensor, samples: int) -> bool:
    """Whether it surely is a sum over a batch of so many samples, as of a loss with reduction="sum"; one that
    is divided by something, or multiplied, may be a mean all the same."""
    node = root.grad_fn
    if node is None or root.numel() != 1:
        return False
    if type(node).__name__ == "SumBackward0":
        return bool(node._saved_self_sym_sizes[:1] == (samples,))  # type: ignore[attr-defined]
    return getattr(node, "_saved_reduction", None) == _SUM
