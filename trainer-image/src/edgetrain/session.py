"""What a training program uses: the same few calls alone on a laptop and as a member of a job."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from edgetrain.data import SamplerState
from edgetrain.engine.alone import Alone
from edgetrain.engine.assignment import Step, StepAssignment
from edgetrain.engine.boundary import Boundary
from edgetrain.engine.dynamo_import import spare_the_compiler
from edgetrain.engine.errors import BadProgram, TrainingError
from edgetrain.engine.examples import Batch, Examples
from edgetrain.engine.meter import Meter
from edgetrain.engine.settings import Settings
from edgetrain.engine.state.checkpoint import Checkpoints
from edgetrain.engine.state.final_model import MODEL_FILE, keep_writing
from edgetrain.engine.state.flat_model import FlatModel, layout_of
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Stateful, check
from edgetrain.engine.state.volumes import try_volumes
from edgetrain.epoch_order import EpochOrder
from edgetrain.link import Failed, Link, Message
from edgetrain_protocol.history import NO_HISTORY, History

IGNORED_SAMPLES = 2
"""Samples of a batch that does not count. Two, since batch norm refuses to train on one."""


class Engine(Protocol):
    """What carries the steps: a member of a job, or nothing but this process."""

    meter: Meter

    @property
    def last(self) -> Step | None: ...

    def send(self, message: Message) -> None: ...

    def next_turn(self) -> StepAssignment | None: ...

    def begin_step(self, turn: StepAssignment, loss: float) -> None: ...

    def abandon_step(self, why: str) -> None: ...

    def reduce_step(self, turn: StepAssignment, loss: float, computed: int) -> None: ...

    def hold_on(self, seconds: float) -> bool: ...

    def finish(self, model_path: str, digest: str) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Committed:
    """A step of the group that no loss of workers can undo."""

    step: int
    epoch: int
    loss: float
    """Mean over the whole batch."""
    members: int
    """How many workers' samples are in it; 0 for a step that was replayed to catch up."""
    indices: list[int]
    """Which samples those are, over all workers; empty for a step that was replayed."""
    history: History = NO_HISTORY
    """Which history of the model: a later one of its group begins below the last step of the one before."""


class Session:
    """A program's part in its job. For one thread, in this order: wrap, batches, backward..., finish."""

    def __init__(self, link: Link | None, settings: Settings) -> None:
        self._link, self._settings = link, settings
        self._model: nn.Module | None = None
        self._objects: list[Stateful] = []
        self._engine: Engine | None = None
        self._turn: StepAssignment | None = None
        self._computed = 0
        self._drained = False
        self._order: EpochOrder | None = None
        # Never more than the program, or OMP_NUM_THREADS, has chosen.
        torch.set_num_threads(min(torch.get_num_threads(), settings.cores))

    @property
    def alone(self) -> bool:
        """Whether the program runs without a job."""
        return self._link is None

    @property
    def committed(self) -> Committed | None:
        """The step that the last `backward` committed.

        None before the first, and for a batch that came to nothing: this worker had been left behind
        and is brought up to date before the next.
        """
        step = self._engine.last if self._engine else None
        if step is None or self._order is None:
            return None
        indices = self._order_of(step.epoch).indices(step.positions)
        return Committed(step.number, step.epoch, step.loss, step.members, indices, step.history)

    def wrap(self, model: nn.Module, *stateful: Any) -> Any:
        """Name everything that has state: the model, the optimiser, schedulers, a scaler, an average...

        Returns the same objects, in the same order.

        Raises:
            BadProgram: called twice, or no model given.
            BadState: something has no state_dict, or one that cannot be saved.
        """
        with self._reported():
            if self._model is not None:
                raise BadProgram("session.wrap was called twice: give it everything at once")
            if not isinstance(model, nn.Module):
                raise BadProgram(f"session.wrap got a {type(model).__name__} first: give it the model first")
            check([model, *stateful])
            self._model, self._objects = model, [model, *stateful]
        return (model, *stateful) if stateful else model

    def batches(
        self, train_set: Any, *, batch_size: int = 64, epochs: int = 1, seed: int = 0
    ) -> Iterator[Batch]:
        """This worker's batches until the group has trained `epochs` epochs.

        `batch_size` is that of a whole step, over all workers; each gets a part of it by its speed, so
        `len(batch)` differs from step to step. Call `backward` once for each batch.

        Args:
            train_set: tensors of equal length in a tuple, or a data set with a length that can be
                indexed. The same one on every worker.
            seed: of the order in which each epoch goes through it.

        Raises:
            EmptyDataset: there are no samples.
            VolumeNotWritable: model or checkpoints could not be written later.
            BadProgram: `wrap` was not called before, or this twice.
        """
        with self._reported():
            if batch_size < 1 or epochs < 1:
                raise BadProgram(f"batch_size is {batch_size} and epochs {epochs}: both must be 1 or more")
            examples = Examples(train_set)
            settings = f"data {len(examples)} samples, batch_size {batch_size}, epochs {epochs}, seed {seed}"
            ledger = Ledger(SamplerState.fresh(len(examples), seed), batch_size, epochs)
            engine = self._engine = self._start(ledger, settings)
            self._order = EpochOrder(len(examples), seed, 0)
        return self._loop(engine, examples)

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients and make them the group's.

        Afterwards every parameter's .grad is the mean over all samples of the step's whole batch, the
        same on every worker. `loss` is the mean over the samples of this worker's batch.

        Raises:
            BadProgram: there is no batch to go with it, or it is not one number.
        """
        with self._reported():
            turn, self._turn = self._turn, None
            if turn is None or self._engine is None:
                raise BadProgram("session.backward belongs to a batch: call it once for each of them")
            if loss.numel() != 1:
                raise BadProgram(f"the loss has shape {list(loss.shape)}: give session.backward its mean")
            self._reduced(self._engine, turn, loss)

    def _reduced(self, engine: Engine, turn: StepAssignment, loss: torch.Tensor) -> None:
        engine.meter.enter("backward")
        mean = float(loss.detach())
        engine.begin_step(turn, mean)
        try:
            loss.backward()  # type: ignore[no-untyped-call]
        except BaseException as error:
            engine.abandon_step(f"the program failed in backward: {error!r}")
            raise
        engine.reduce_step(turn, mean, self._computed)
        engine.meter.enter("apply")

    def log(self, **values: float | torch.Tensor) -> None:
        """Numbers to show beside the progress, such as an accuracy; the group's mean loss is shown anyway."""
        if self._engine is not None:
            self._engine.meter.logged({name: _number(value) for name, value in values.items()})

    def finish(self, model: nn.Module | None = None) -> str:
        """Save the model, the wrapped one unless another is given; returns the path of its file.

        Raises:
            BadProgram: the loop was left before its end.
            ModelNotSaved: the volume is full or not writable, and was not mended in five minutes.
        """
        with self._reported():
            chosen = model if model is not None else self._model
            if self._engine is None or chosen is None or not self._drained:
                raise BadProgram(
                    "session.finish was called before the loop over session.batches had come to its end: "
                    "the other workers would wait for this one; ask for fewer epochs instead of leaving it"
                )
            path = self._settings.model_dir / MODEL_FILE
            data = to_safetensors({name: t.detach().clone() for name, t in chosen.state_dict().items()})
            keep_writing(path, data, self._engine.send, self._engine.hold_on)
            self._engine.finish(str(path), hashlib.sha256(data).hexdigest())
            return str(path)

    def _start(self, ledger: Ledger, settings: str) -> Engine:
        if self._model is None:
            raise BadProgram("session.batches needs the model: call session.wrap(model, optimizer) before")
        if self._engine is not None:
            raise BadProgram("session.batches was called twice: one call gives all epochs")
        flat, volumes = FlatModel(self._model), {"spec.storage.model": self._settings.model_dir}
        if self._link is None:
            try_volumes(volumes)
            return Alone(flat, ledger)
        own = Checkpoints(self._settings.checkpoint_dir, self._settings.worker, self._settings.job).own
        try_volumes({"spec.storage.checkpoint": own, **volumes})
        optimizers = [thing for thing in self._objects if isinstance(thing, torch.optim.Optimizer)]
        layout = layout_of(self._model, optimizers, [settings])
        return Boundary(self._link, self._settings, flat, ledger, layout, self._objects)

    def _order_of(self, epoch: int) -> EpochOrder:
        if self._order is None:
            raise BadProgram("session.batches was not called")
        return replace(self._order, epoch=epoch)

    def _loop(self, engine: Engine, examples: Examples) -> Iterator[Batch]:
        while turn := self._next(engine):
            engine.meter.enter("data")
            ignored = range(min(IGNORED_SAMPLES, len(examples)))
            indices = self._order_of(turn.epoch).indices(turn.positions) or list(ignored)
            batch = examples.take(indices, turn.epoch)
            self._turn, self._computed = turn, len(indices)
            engine.meter.enter("forward")
            yield batch
        self._drained = True

    def _next(self, engine: Engine) -> StepAssignment | None:
        with self._reported():
            if self._turn is not None:
                raise BadProgram("session.backward was not called for a batch: call it once for each batch")
            return engine.next_turn()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Tell the supervisor by which name the job's condition shall call what went wrong."""
        try:
            yield
        except SystemExit:
            self._tell()
            raise
        except TrainingError as error:
            self._tell(Failed(error.reason, str(error)))
            raise

    def _tell(self, *messages: Message) -> None:
        """These, after all that was said before; returns once they have been handed over."""
        if self._engine is not None:
            for message in messages:
                self._engine.send(message)
            self._engine.close()
        elif self._link is not None:
            with contextlib.suppress(ConnectionError):
                for message in messages:
                    self._link.send(message)


def _number(value: float | torch.Tensor) -> float:
    # Detached first: torch warns of a number taken from a tensor that is part of a graph, as a loss is.
    return float(value.detach()) if isinstance(value, torch.Tensor) else float(value)


def join() -> Session:
    """The session of this process: of its job if a supervisor started it, else alone.

    Best called before the optimiser is made: then torch's compiler need not be imported.
    """
    spare_the_compiler()
    return Session(Link.from_env(), Settings.from_env())
