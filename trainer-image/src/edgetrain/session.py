"""What a training program uses: the same few calls alone on a laptop and as a member of a job."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import nn
from torch.utils.data import DataLoader

from edgetrain.engine.dynamo_import import spare_the_compiler
from edgetrain.engine.errors import BadProgram
from edgetrain.engine.settings import MODEL_FILE, Settings
from edgetrain.engine.state.final_model import keep_writing, push
from edgetrain.engine.state.snapshot import check
from edgetrain.link import Link
from edgetrain.loop.former_names import FormerNames
from edgetrain.loop.loader import Loader
from edgetrain.loop.members import Members, number_of
from edgetrain.loop.own_data import Labels, OwnData
from edgetrain.loop.program import Program
from edgetrain.loop.random_numbers import generator
from edgetrain.loop.showing import Showing
from edgetrain.loop.source import own_batches, source_of
from edgetrain.loop.supply import Numbers, Own, Shared, Supply
from edgetrain_protocol.history import NO_HISTORY, History


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


class Session(Members, FormerNames):
    """A program's part in its job. For one thread."""

    def __init__(self, link: Link | None, settings: Settings, showing: Showing | None = None) -> None:
        self._program = Program(link, settings, showing or Showing())
        # Never more than the program, or OMP_NUM_THREADS, has chosen.
        torch.set_num_threads(min(torch.get_num_threads(), settings.cores))

    @property
    def state(self) -> dict[str, Any]:
        """Numbers of the program's own, such as the best loss so far: they go along with its state."""
        return self._program.state

    def keep(self, *names: str) -> None:
        """Have these variables of the module that calls it go along with the state too, such as a counter or
        the best loss so far, as if they were in `session.state`. Before the loop.

        Raises:
            BadProgram: it is called in a function or after the first batch, or one has no value yet.
            BadState: one has a value that cannot be saved.
        """
        with self._program.reported():
            if self._program.steps:
                raise BadProgram("session.keep was called after the first batch: call it before the loop")
            self._program.state.keep(sys._getframe(1), names)
            check([self._program.state])

    @property
    def progress(self) -> bool:
        """Whether how training gets on is printed: by a bar on a terminal, elsewhere by a line every half
        minute."""
        return self._program.showing.wanted

    @progress.setter
    def progress(self, wanted: bool) -> None:
        self._program.showing.wanted = wanted

    # --- what the program has

    def prepare(self, *things: Any) -> Any:
        """Name everything that has state: models, optimisers, schedulers, a scaler, an average...

        All that an optimiser moves is made the same on every member: models, or single parameters, that it
        moves have to be among them. A DataLoader among them becomes a loader, as `loader` makes it.

        Returns the same objects, in the same order; one alone as it is.

        Raises:
            BadProgram: called after the first batch, with nothing, or with something twice.
            BadState: something has no state_dict, or one that cannot be saved.
        """
        with self._program.reported():
            if self._program.steps:
                raise BadProgram("session.prepare was called after the first batch: call it before the loop")
            if not things:
                raise BadProgram("session.prepare got nothing: give it the model and the optimiser")
            found = [self.loader(t) if isinstance(t, DataLoader) else t for t in things]
            self._program.parts.add(thing for thing in found if not isinstance(thing, Loader))
        return tuple(found) if len(found) > 1 else found[0]

    def loader(
        self,
        data: Any,
        *,
        batch_size: int | None = None,
        shuffle: bool | None = None,
        seed: int = 0,
        local: bool | None = None,
        steps: int | None = None,
        counted: bool = False,
        labels: Labels | None = None,
    ) -> Loader:
        """Share out the batches of a DataLoader: its batch size is that of a whole step, over all workers.

        Each worker gets a part of each batch by its speed, through the DataLoader's own collate function and
        processes. The order of an epoch comes from `seed`, the same on every worker.

        Args:
            data: a DataLoader, or a data set with a length that can be indexed. The same one on every worker.
            batch_size, shuffle: of a data set; shuffled unless told not to be.
            local: each worker goes through data of its own, by a loader of any kind, again where others have
                more. A step has a batch of each worker's, weighed by its samples. Left out: as the job's
                spec.data.policy says.
            steps: of an epoch of local data, those of the longest where it is left out; or of a stream
                without a length (an IterableDataset), which is the same on every worker.
            counted: the program counts its batches (by `enumerate`, or as frameworks do). A worker that joins
                within an epoch is first given as many as the others have had, and trains on none of them.
            labels: gives the labels of a batch of local data. How many samples a worker has of each is then
                reported beside how many it has.

        Raises:
            EmptyDataset: there are no samples.
            BadProgram: it cannot be shared out by the sample.
        """
        program = self._program
        with program.reported():
            supply: Supply
            if program.settings.local_data if local is None else local:
                own = OwnData(labels, program.count_own)
                data = own_batches(data, batch_size, shuffle, seed)
                supply = Own(data, steps, program.length, lambda: program.places.here.epoch, own)
            else:
                if labels:
                    raise BadProgram("session.loader got labels=..., which are of local data: add local=True")
                supply = Shared(source_of(data, batch_size, shuffle, seed, steps))
            program.name(supply)
            program.places.counts |= counted
            program.loaders += 1
            return Loader(supply, program.pass_through, data, program.loaders)

    # --- its loop

    def epochs(self, count: int) -> Iterator[int]:
        """The numbers of the epochs to train, from where the job is: what a loop over epochs goes through.

        Raises:
            BadProgram: `count` is none; a loop that is gone on with after another has begun says so as well.
            VolumeNotWritable: model or checkpoints could not be written later.
        """
        with self._program.reported():
            if count < 1:
                raise BadProgram(f"session.epochs got {count}: it must be 1 or more")
        return self._program.walk(count)

    def steps(self, count: int) -> Iterator[int]:
        """The numbers of the steps to train, from where the job is, for a loop that makes or draws its data
        itself.

        Each worker does so in each step, with random numbers of its own, and all count alike unless they
        `weigh`.

        Raises:
            BadProgram: `count` is none.
            VolumeNotWritable: model or checkpoints could not be written later.
        """
        program = self._program
        with program.reported():
            if count < 1:
                raise BadProgram(f"session.steps got {count}: it must be 1 or more")
            supply = Numbers(count)
            program.name(supply)
        return program.pass_through(supply)

    def weigh(self, weight: float) -> None:
        """Say how much this worker's batch counts, such as its number of tokens, where that is not its
        number of samples. Before the backward, for every batch, on every worker.

        Raises:
            BadProgram: there is no batch in hand, or the weight is below 0.
        """
        with self._program.reported():
            self._program.running.weigh(weight)

    @property
    def committed(self) -> Committed | None:
        """The step that the last backward of a batch committed.

        None before the first, and for a batch that came to nothing: this worker had been left behind
        and is brought up to date before the next.
        """
        steps = self._program.steps
        step = steps.engine.last if steps else None
        if steps is None or step is None:
            return None
        indices = steps.supply.indices(step.epoch, step.positions)
        return Committed(step.number, step.epoch, step.loss, step.members, indices, step.history)

    def log(self, **values: float | torch.Tensor) -> None:
        """Numbers to show beside the progress, such as an accuracy: in the job's status, as those of the main
        member, and among the metrics. The group's mean loss is shown anyway.

        Raises:
            BadProgram: there are more than some twenty names.
        """
        with self._program.reported():
            if self._program.steps:
                numbers = {name: number_of(value) for name, value in values.items()}
                engine = self._program.steps.engine
                engine.meter.logged(numbers)
                self._program.showing.logged(engine, numbers)

    def save(self, model: nn.Module | None = None) -> str:
        """Save the model, the first that was prepared unless another is given; returns the path of its file.

        After the loop, on every worker. The others may still need this one's help with the last step: the
        call returns once the job is over.

        Raises:
            BadProgram: nothing was trained.
            ModelNotSaved: the volume is full or not writable, and was not mended in five minutes.
        """
        with self._program.reported():
            engine = self._program.running.engine
            engine.leave_loops()
            self._program.showing.end()
            chosen = model if model is not None else self._program.parts.modules[0]
            path = self._program.settings.model_dir / MODEL_FILE
            data = to_safetensors(_tensors_of(chosen))
            keep_writing(path, data, engine.send, engine.hold_on)
            place, not_pushed = self._program.settings.remote_model, None
            if place and self.is_main:
                not_pushed = push(path, place, engine.send, engine.hold_on)
            engine.finish(str(path), hashlib.sha256(data).hexdigest(), not_pushed)
            return str(path)

    def rng(self, index: int) -> torch.Generator:
        """Random numbers that belong to a sample in this epoch, whichever worker draws them."""
        seed = self._program.seed
        return generator(
            "sample", torch.initial_seed() if seed is None else seed, self._program.places.here.epoch, index
        )


def _tensors_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """By name. What a module keeps beside its tensors has no place in a file of tensors."""
    state = model.state_dict()
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def join(*, progress: bool = True, tensorboard: str | Path = "") -> Session:
    """The session of this process: of its job if a supervisor started it, else alone.

    Best called before the optimiser is made: then torch's compiler need not be imported.

    Args:
        progress: see Session.progress.
        tensorboard: a directory where the main member writes loss and logged numbers for TensorBoard.

    Raises:
        BadProgram: the package tensorboard is wanted and not installed.
    """
    spare_the_compiler()
    session = Session(Link.from_env(), Settings.from_env(), Showing(str(tensorboard)))
    session.progress = session.progress and progress
    return session
