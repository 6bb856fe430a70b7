"""A program on its way through its loops, and the engine that carries its steps."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim import Optimizer

from edgetrain.engine.allocator import keep_freed_memory
from edgetrain.engine.alone import Alone
from edgetrain.engine.boundary import Boundary
from edgetrain.engine.errors import BadProgram, TrainingError
from edgetrain.engine.place import Place, Places
from edgetrain.engine.settings import Settings
from edgetrain.engine.state.checkpoint import Checkpoints
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.shared_vector import SharedVectors
from edgetrain.engine.state.volumes import try_volumes
from edgetrain.link import Failed, Link, Message
from edgetrain.loop import torch_calls
from edgetrain.loop.carrier import Engine
from edgetrain.loop.loops import Loops
from edgetrain.loop.parts import Parts
from edgetrain.loop.proximal import ProximalTerm
from edgetrain.loop.showing import Showing
from edgetrain.loop.steps import Steps
from edgetrain.loop.supply import EpochLength, Supply
from edgetrain.loop.user_state import UserState
from edgetrain.loop.window import GradientWindow


class Reporting:
    """Around what a program asks of its session, several times a step: a class, since a generator's frame
    takes longer than many a step's part. It has no state of its own, so that it may be nested."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TrainingError):
            self._tell(Failed(error.reason, str(error)))
        elif isinstance(error, SystemExit):
            self._tell()


_END = object()
FOR_EVER = 1 << 30
"""Passes that are over for one that comes when all are."""


class Program:
    """For its own thread."""

    def __init__(self, link: Link | None, settings: Settings, showing: Showing) -> None:
        self.link, self.settings = link, settings
        self.parts, self.places, self.state = Parts(), Places(), UserState()
        self.length = EpochLength()
        self.loops = Loops()
        self.showing = showing
        self._reporting = Reporting(self._tell)
        self.supplies: list[Supply] = []
        """In the order in which the program has named them, which is that of its loops."""
        self.loaders = 0
        """So many of them were made by `session.loader`."""
        self.steps: Steps | None = None
        self.seed: int | None = None
        """The program's own; torch's is each member's from then on, another one in each step."""
        self._proximal: ProximalTerm | None = None
        """Of a member's steps; None for a program that runs alone."""

    @property
    def running(self) -> Steps:
        """Raises BadProgram: its loop has not begun."""
        if self.steps is None:
            raise BadProgram(
                "nothing was trained so far: that comes after the first batch of a loop over "
                "session.loader(...)"
            )
        return self.steps

    # --- loops

    def name(self, supply: Supply) -> None:
        """What the program is about to go through. Once it trains, its loops say that themselves."""
        if self.steps is None:
            self.supplies.append(supply)

    def count_own(self, samples: int, labels: dict[str, int]) -> None:
        """What this worker's own data have turned out to be."""
        if self.steps:
            self.steps.engine.meter.counted(samples, labels)

    def walk(self, count: int) -> Iterator[int]:
        """The epochs of a loop that has this many, from where the job is."""
        loops, places = self.loops, self.places
        self._take_back()
        loops.begin(count)
        number, loops.walking = loops.number, True
        try:
            if self.supplies and not self.steps:
                with self.reported():
                    self.begun(self.supplies[0]).engine.settle()
            epoch = places.after(loops.first - 1).epoch
            while epoch < loops.total and not (places.wanted and places.wanted.over) and not self.finishing:
                with self.reported():
                    self._check_not_behind()
                places.here = Place(epoch)
                yield epoch - loops.first
                if loops.number != number:
                    raise BadProgram("a loop over session.epochs was gone on with after another had begun")
                epoch = places.after(epoch).epoch
        finally:
            if loops.number == number:
                loops.walking = False

    @property
    def finishing(self) -> bool:
        """See Session.finishing."""
        return self.steps is not None and self.steps.engine.finishing

    def passes_behind(self) -> int:
        """For a framework that counts epochs itself: how many of the job's are over. The next pass is taken
        for the one after those."""
        self.loops.total = 1
        with self.reported():
            self.begun(self.supplies[0]).engine.settle()
        wanted = self.places.wanted
        behind = (FOR_EVER if wanted.over else wanted.epoch) if wanted else 0
        self.loops.total = behind
        return behind

    def pass_through(self, supply: Supply, loader: int = 0) -> Iterator[Any]:
        """The batches of what is left of an epoch."""
        loops = self.loops
        with self.reported():
            self.places.own_loop = not loops.walking
            if not loops.walking:
                self._take_back()
                loops.begin(1)
                self.places.here = Place(loops.first)
            elif loops.drained == self.places.here:
                raise BadProgram(
                    "the loader was gone through twice in an epoch: once is what session.epochs is for; "
                    "evaluate on a plain DataLoader"
                )
            loops.passes += 1
            number = loops.passes
            steps = self.begun(supply)
            self._check_not_behind()
            steps.go_over(supply, supply.ledger(loops.total, loops.first))
            self.places.enter(loader)
            batches = steps.batches()
        while True:
            with self.reported():
                if loops.passes != number:
                    raise BadProgram(
                        "a loader was gone on with after another pass had begun: go through one at a time"
                    )
                batch = next(batches, _END)
            if batch is _END:
                loops.drained = self.places.here
                last = self.places.here.epoch == loops.total - 1 or self.finishing
                if loops.walking and last:
                    with self.reported():
                        steps.engine.data_ended()
                return
            yield batch

    def _take_back(self) -> None:
        if self.steps:
            with self.reported():
                self.steps.engine.take_back()

    def _check_not_behind(self) -> None:
        """Raises SystemExit: the state at hand is of a loop that the program has left."""
        wanted = self.places.wanted
        if self.steps and wanted and not wanted.over and wanted.epoch < self.loops.first:
            self.steps.engine.give_way()

    def begun(self, supply: Supply) -> Steps:
        """Raises BadProgram, VolumeNotWritable: it cannot begin."""
        if self.steps is None:
            self.seed = torch.initial_seed()
            flat = self.parts.flat()
            # Not before: what a program needs while it reads its data in, it may not need again.
            keep_freed_memory()
            window = GradientWindow(flat, self.parts.optimizers, gives_up=self.link is not None)
            engine = self._engine(flat, supply, window)
            self.steps = Steps(
                engine, supply, self.loops.total, self.parts, flat, self.places, window, self.showing
            )
            if self.link:
                self.steps.own_numbers = f"{self.seed}/{self.settings.worker}"
            torch_calls.listen(self)
        return self.steps

    def _engine(self, flat: FlatModel, supply: Supply, window: GradientWindow) -> Engine:
        ledger = supply.ledger(self.loops.total, 0)
        volumes = {"spec.storage.model": self.settings.model_dir}
        if self.link is None:
            try_volumes(volumes)
            return Alone(ledger, self.places)
        own = Checkpoints(self.settings.checkpoint_dir, self.settings.worker, self.settings.job).own
        try_volumes({"spec.storage.checkpoint": own, **volumes})
        data = "; ".join(supply.described for supply in self.supplies)
        layout = self.parts.layout(f"{data}, epochs {self.loops.total}")
        vectors = SharedVectors(flat)
        self._proximal = ProximalTerm(vectors)
        objects = [*self.parts.objects, window, self.state, self.length, vectors]
        return Boundary(self.link, self.settings, flat, ledger, layout, objects, self.places, vectors)

    # --- what torch tells

    def backward(
        self, run: Callable[[], None], root: torch.Tensor, *, kept: bool, differentiable: bool
    ) -> None:
        with self.reported():
            if differentiable:
                raise BadProgram(
                    "backward was asked for gradients with a graph (create_graph=True), which the others' "
                    "have not: take them by torch.autograd.grad, and call backward of what is made of them"
                )
            self.running.backward(run, root, kept=kept)

    def before_step(self, optimizer: Optimizer) -> None:
        with self.reported():
            self.running.before_step(optimizer)
        if self._proximal:
            self._proximal.add(optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        if self._proximal:
            self._proximal.take_away()
        self.running.after_step(optimizer)

    # --- what the supervisor is told

    def reported(self) -> Reporting:
        """Tell the supervisor by which name the job's condition shall call what went wrong."""
        return self._reporting

    def _tell(self, *messages: Message) -> None:
        """These, after all that was said before; returns once they have been handed over."""
        if self.steps:
            for message in messages:
                self.steps.engine.send(message)
            self.steps.engine.close()
        elif self.link is not None:
            with contextlib.suppress(ConnectionError):
                for message in messages:
                    self.link.send(message)
