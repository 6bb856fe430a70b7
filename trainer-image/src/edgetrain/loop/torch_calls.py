"""Where torch tells that a program calls backward, or an optimiser's step.

torch has hooks for a step, and for each gradient that is made, but none for a backward as a whole, nor for
the loss that it begins with. `Tensor.backward` goes through `torch.autograd.backward`, so that one is
wrapped, once.
"""

import functools
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


class Listener(Protocol):
    """Called in the thread that has begun to listen, alone."""

    def backward(
        self, run: Callable[[], None], root: torch.Tensor, *, kept: bool, differentiable: bool
    ) -> None:
        """
        Args:
            run: makes the gradients.
            root: what backward was called of.
            kept: its graph is kept for another one.
            differentiable: gradients are to have a graph of their own.
        """

    def before_step(self, optimizer: Optimizer) -> None:
        """An optimiser is about to move its parameters."""

    def after_step(self, optimizer: Optimizer) -> None:
        """It has moved them."""


_listening: "weakref.ref[Listener] | None" = None
_thread = 0
_inside = False
"""A backward runs: one that it calls itself, as torch's checkpointing does, is part of it."""


def listen(listener: Listener) -> None:
    """From now on tell this one, and nobody else."""
    global _listening, _thread, _inside
    if _listening is None:
        torch.autograd.backward = _wrapped(torch.autograd.backward)
        register_optimizer_step_pre_hook(_tell_before)
        register_optimizer_step_post_hook(_tell_after)
    _listening, _thread, _inside = weakref.ref(listener), threading.get_ident(), False


def inside_backward() -> bool:
    """Whether a backward runs that a session listens to."""
    return _inside


def _listener() -> Listener | None:
    return _listening() if _listening and threading.get_ident() == _thread else None


def _tell_before(optimizer: Optimizer, *_: Any) -> None:
    if listener := _listener():
        listener.before_step(optimizer)


def _tell_after(optimizer: Optimizer, *_: Any) -> None:
    if listener := _listener():
        listener.after_step(optimizer)


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def backward(
        tensors: Any,
        grad_tensors: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        global _inside
        listener = None if _inside else _listener()
        if listener is None:
            original(tensors, grad_tensors, retain_graph, create_graph, *args, **kwargs)
            return
        _inside, root = True, tensors if isinstance(tensors, torch.Tensor) else tensors[0]
        try:
            listener.backward(
                lambda: original(tensors, grad_tensors, retain_graph, create_graph, *args, **kwargs),
                root,
                kept=bool(retain_graph),
                differentiable=create_graph,
            )
        finally:
            _inside = False

    return backward
