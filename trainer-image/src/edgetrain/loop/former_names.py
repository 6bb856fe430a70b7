"""The session's methods as the version before had them. They go with the next one."""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from edgetrain.engine.errors import BadProgram
from edgetrain.loop.examples import Batch, examples_source
from edgetrain.loop.loader import Loader
from edgetrain.loop.program import Program
from edgetrain.loop.supply import Shared


class FormerNames:
    """Each says what to write in its place."""

    _program: Program

    def prepare(self, *things: Any) -> Any:
        raise NotImplementedError

    def save(self, model: nn.Module | None = None) -> str:
        raise NotImplementedError

    def wrap(self, model: nn.Module, *stateful: Any) -> Any:
        """Deprecated: `prepare` is its name."""
        _deprecated("session.wrap", "session.prepare(model, optimizer)")
        with self._program.reported():
            if self._program.parts.objects:
                raise BadProgram("session.wrap was called twice: give it everything at once")
            if not isinstance(model, nn.Module):
                raise BadProgram(f"session.wrap got a {type(model).__name__} first: give it the model first")
        return self.prepare(model, *stateful)

    def batches(
        self, train_set: Any, *, batch_size: int = 64, epochs: int = 1, seed: int = 0
    ) -> Iterator[Batch]:
        """Deprecated: batches of all epochs, one after another; `backward` once for each of them."""
        _deprecated(
            "session.batches", "a loop over session.epochs(count) and session.loader(DataLoader(...))"
        )
        program = self._program
        with program.reported():
            if batch_size < 1 or epochs < 1:
                raise BadProgram(f"batch_size is {batch_size} and epochs {epochs}: both must be 1 or more")
            if not program.parts.objects:
                raise BadProgram(
                    "session.batches needs the model: call session.wrap(model, optimizer) before"
                )
            if program.supplies:
                raise BadProgram("session.batches was called twice: one call gives all epochs")
            source = examples_source(train_set, batch_size, seed, lambda: program.places.here.epoch)
            program.supplies.append(Shared(source))
            program.loops.total = epochs
            program.begun(program.supplies[0])
            program.loops.total = 0
        return self._all_batches(epochs)

    def _all_batches(self, epochs: int) -> Iterator[Batch]:
        program = self._program
        supply = program.running.supply
        loader = Loader(supply, program.pass_through, supply)
        for _ in program.walk(epochs):
            program.loops.drained = None
            for batch in loader:
                yield batch
                with program.reported():
                    if program.running.unused:
                        raise BadProgram(
                            "session.backward was not called for a batch: call it once for each batch"
                        )

    def backward(self, loss: torch.Tensor) -> None:
        """Deprecated: `loss.backward()` does the same."""
        _deprecated("session.backward(loss)", "loss.backward()")
        with self._program.reported():
            if self._program.steps is None or not self._program.steps.unused:
                raise BadProgram("session.backward belongs to a batch: call it once for each of them")
            if loss.numel() != 1:
                raise BadProgram(f"the loss has shape {list(loss.shape)}: give session.backward its mean")
        loss.backward()  # type: ignore[no-untyped-call]

    def finish(self, model: nn.Module | None = None) -> str:
        """Deprecated: `save`, after a loop that has come to its end."""
        _deprecated("session.finish", "session.save(model)")
        with self._program.reported():
            wanted = self._program.places.wanted
            if self._program.loops.drained is None and not (wanted and wanted.over):
                raise BadProgram(
                    "session.finish was called before the loop over session.batches had come to its end: "
                    "the other workers would wait for this one; ask for fewer epochs instead of leaving it"
                )
        return self.save(model)


def _deprecated(old: str, new: str) -> None:
    warnings.warn(f"{old} goes with the next version: write {new}", DeprecationWarning, stacklevel=3)
