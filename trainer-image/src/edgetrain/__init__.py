"""Elastic data-parallel training on edge nodes: what a training program imports.

session = edgetrain.join()
model, optimizer = session.wrap(model, optimizer)
for batch in session.batches(train_set, batch_size=64, epochs=10):
    optimizer.zero_grad()
    loss = loss_fn(model(batch.x), batch.y)
    session.backward(loss)
    optimizer.step()
session.finish(model)
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
