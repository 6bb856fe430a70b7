"""Keeps torch's compiler from being imported by programs that compile nothing.

Optimisers import torch._dynamo at their first use, only to tell it not to trace them. Measured with
torch 2.13: 3.5 s of processor (17 s on a fifth of a core) and a third of the process's memory, after
2.6 s for torch itself. As soon as something else has imported it, all is as torch made it.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

Function = Callable[..., Any]

_SETTING = "__dynamo_disable"
"""Where torch._compile keeps what it calls in place of a function that it has disabled."""
_NO_GRAD_STEP = "_use_grad"
"""The wrapper around every optimiser's step that imports the compiler to mark a graph break."""


def spare_the_compiler() -> None:
    """Let torch's optimisers work without the compiler until something else imports it."""
    for wrapper in vars(torch.optim.Optimizer).values():
        function = getattr(wrapper, "__wrapped__", None)
        if function is not None and not hasattr(function, _SETTING):
            setattr(function, _SETTING, _method(wrapper, function))
    for kind in vars(torch.optim).values():
        step = vars(kind).get("step") if isinstance(kind, type) else None
        if step is not None and step.__code__.co_name == _NO_GRAD_STEP:
            kind.step = _step(step)


def _method(wrapper: Function, function: Function) -> Function:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*args, **kwargs)
        delattr(function, _SETTING)
        return wrapper(*args, **kwargs)

    return call


def _step(wrapper: Function) -> Function:
    plain: Function = wrapper.__wrapped__  # type: ignore[attr-defined]  # set by functools

    @functools.wraps(plain)
    def step(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        if "torch._dynamo" in sys.modules:
            return wrapper(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return plain(self, *args, **kwargs)

    return step
