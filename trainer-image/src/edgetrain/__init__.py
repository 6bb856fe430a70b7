"""Elastic data-parallel training on edge nodes: what a training program imports.

session = edgetrain.join()
model, optimizer, loader = session.prepare(model, optimizer, DataLoader(train_set, batch_size=64,
shuffle=True)) for epoch in session.epochs(10):
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
session.save(model)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgetrain.session import Session, join

__all__ = ["Session", "join"]


def __getattr__(name: str) -> Any:
    # Late: the supervisor and the profiler are parts of this package and must never import torch.
    if name in __all__:
        from edgetrain import session

        return getattr(session, name)
    raise AttributeError(f"module 'edgetrain' has no attribute {name!r}")
