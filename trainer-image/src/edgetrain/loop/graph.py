"""Whether a backward will make gradients of what is trained, seen from its graph before it runs."""

from collections.abc import Collection
from typing import Any

import torch

MOST_NODES = 2000
"""A graph that belongs to what is trained shows a parameter among its first few: one that does not so soon
is looked at afterwards, by its gradients."""


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
        if id(getattr(node, "variable", None)) in parameters:
            return True
        left.extend(following for following, _ in node.next_functions)
    return False
