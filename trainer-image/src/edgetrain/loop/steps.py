"""What a program does with its batches, told to the engine: which backward belongs to which step."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from edgetrain.engine.assignment import StepAssignment
from edgetrain.engine.errors import BadProgram
from edgetrain.engine.formation.numbers import MOST
from edgetrain.engine.place import Places
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.step_kind import StepKind
from edgetrain.loop.carrier import Engine
from edgetrain.loop.graph import is_a_sum, leads_to
from edgetrain.loop.guards import Guards
from edgetrain.loop.parts import Parts
from edgetrain.loop.random_numbers import seed_epoch, seed_of, seed_step
from edgetrain.loop.showing import Showing
from edgetrain.loop.supply import Supply
from edgetrain.loop.window import GradientWindow

log = logging.getLogger(__name__)

MOST_SKIPPED = 100
"""Batches in a row that stand in for one that was passed over: a program that passes all of them over does
not train."""


NEVER = (
    "no backward was called of any batch: call loss.backward() on what a model gave that was given to "
    "session.prepare, in every epoch; gradients that torch.autograd.grad gives are not the group's"
)


A_SUM = (
    "the loss is a sum over its batch, of which each worker has a part: the group's gradient is the mean of "
    "the workers' sums, weighed by their samples, and smaller the more there are. Take the mean, and a "
    "larger learning rate; or divide by what is to count, and say so by session.weigh"
)


class Steps:
    """One program's. For its thread."""

    def __init__(
        self,
        engine: Engine,
        supply: Supply,
        epochs: int,
        parts: Parts,
        flat: FlatModel,
        places: Places,
        window: GradientWindow,
        showing: Showing,
    ) -> None:
        self.engine, self.supply, self.places = engine, supply, places
        self._epochs = epochs
        """Of all loops so far."""
        self._parts, self._guards, self._window = parts, Guards(parts, flat), window
        self._flat, self._showing = flat, showing
        self._turn: StepAssignment | None = None
        """Of the batch in hand, while no backward has been called of it."""
        self._computed = 0
        self._trained = False
        """A batch was reduced: a further backward belongs to it."""
        self._looked = False
        """At what kind its loss is of."""
        self._stood_in = 0
        """Times that something stood in for the batch which was passed over."""
        self.skipped = 0
        """Samples of batches that the program passed over."""
        self.own_numbers: str | None = None
        """By which this worker's random numbers differ from the others'; None where it has no others."""

    # --- batches

    def go_over(self, supply: Supply, fresh: Ledger) -> None:
        """Pass through this supply from here on; `fresh`: what is left of it at the start of the loop.

        Raises:
            BadProgram: the loop goes through another one already.
        """
        begins = fresh.epochs > self._epochs
        if not begins and supply.described != self.supply.described:
            raise BadProgram(
                "a loop over session.epochs goes through one loader: make a second loop for the second one, "
                "and go through them in the order in which session.loader was called"
            )
        self.supply, self._epochs = supply, fresh.epochs
        self.engine.go_over(fresh)

    def batches(self) -> Iterator[Any]:
        """One pass: what is left of the epoch in which the program is."""
        begun = given = False
        self._trained = False
        while True:
            # First: who has taken another's state has with it what was agreed on for this epoch.
            if not begun:
                self.engine.settle()
            while self._is_behind():
                yield self.supply.stand_in(self.places.here)
                # Only now: while the program has it in hand, it is not where its state belongs.
                self.places.given()
                self.engine.settle()
            if not begun and not self.places.elsewhere:
                self._begin_epoch()
                begun = True
            if turn := self._next():
                given = True
                self.places.given()
                yield self._batch(turn)
            elif not self._is_behind():
                break
        if given and not self._trained and not self.places.elsewhere:
            raise BadProgram(NEVER)
        self._trained = False

    def _is_behind(self) -> bool:
        """Whether the others have had more batches of this pass.

        Raises:
            SystemExit: they have had fewer, and the program cannot go back.
        """
        if (behind := self.places.batches_behind) < 0:
            self.engine.give_way()
        return behind > 0

    def _begin_epoch(self) -> None:
        self.supply.begin_epoch(self._foreseen, self._agreed)
        if self.own_numbers is not None:
            seed_epoch(seed_of(self.own_numbers, "epoch", self.places.here.epoch))

    def _next(self) -> StepAssignment | None:
        turn, self._turn = self._turn, None
        if turn and turn.epoch == self.places.here.epoch:
            return self._passed_over(turn)
        self._stood_in = 0
        return self.engine.next_turn(self.supply.over)

    def _passed_over(self, turn: StepAssignment) -> StepAssignment | None:
        """The program called no backward of it."""
        self._stood_in += 1 if turn.done else 0
        if self._stood_in > MOST_SKIPPED:
            raise BadProgram(NEVER)
        self.skipped += len(turn.positions)
        if turn.positions:
            log.info(
                "%d samples were passed over: no backward was called of their batch", len(turn.positions)
            )
            self.engine.meter.noted("samplesPassedOver", self.skipped)
        found = self.engine.pass_over(turn, self.supply.over)
        if self.places.counts and found and found.done:
            raise BadProgram(
                "a batch was passed over in a loop that counts its batches (counted=True), and others "
                "trained on theirs: call backward of it too, with session.weigh(0) before"
            )
        return found

    def _batch(self, turn: StepAssignment) -> Any:
        self.engine.meter.enter("data")
        if self.own_numbers is not None:
            seed_step(seed_of(self.own_numbers, self.engine.step))
        batch = self.supply.batch(turn)
        weight = self.supply.weight(batch) if turn.positions else None
        self._computed = len(turn.positions) if weight is None else round(weight)
        self._turn = turn if weight is None else turn._replace(weight=weight)
        self.engine.meter.enter("forward")
        return batch

    def _agreed(self, number: float) -> list[float]:
        found = self.combine([number])
        return found[0] if found else [number]

    def _foreseen(self) -> Iterator[list[int]]:
        here = self.places.here.epoch
        for epoch, positions in self.engine.foreseen():
            if epoch != here:
                return
            if positions:
                yield self.supply.indices(epoch, positions)

    def weigh(self, weight: float) -> None:
        """See Session.weigh."""
        if self.places.elsewhere:
            return
        if self._turn is None:
            raise BadProgram(
                "session.weigh belongs before the backward of a batch: call it once the batch is there"
            )
        if not weight >= 0:
            raise BadProgram(f"session.weigh got {weight}: give it 0 or more, such as the number of tokens")
        self._turn = self._turn._replace(weight=float(weight))

    @property
    def unused(self) -> bool:
        """A batch is in hand of which no backward was called."""
        return self._turn is not None

    # --- what torch tells

    def backward(self, run: Callable[[], None], root: torch.Tensor, *, kept: bool) -> None:
        """Make the gradients that `run` makes the group's; and `root`, unless its graph is `kept`, their
        loss."""
        turn = self._belongs_to()
        if turn is None:
            run()
            return
        self._window.keep()
        try:
            self._carried(run, turn, root, kept)
        finally:
            self._window.let_go()

    def _carried(self, run: Callable[[], None], turn: StepAssignment, root: torch.Tensor, kept: bool) -> None:
        if not self._looked:
            self._look(root, turn)
        scale, engine = self._parts.scale() if self._flat.scaled else 1.0, self.engine
        loss = (root.item() if root.numel() == 1 else float(root.detach().mean())) / scale
        sure = engine.early and leads_to(root, self._flat.trained_ids)
        before = [] if sure else self._marks()
        engine.meter.enter("backward")
        if sure:
            engine.begin_step(turn, loss)
        try:
            run()
        except BaseException as error:
            engine.abandon_step(f"the program failed in backward: {error!r}")
            raise
        if sure or self._moved(before):
            self._reduce(turn, loss)
            if engine.loss is not None and not kept and _is_a_number(root):
                # What a program decides by its loss, all members decide alike. Not through autograd, which
                # would take a tensor that it has saved for changed.
                root.data.fill_(engine.loss * scale)

    def _look(self, root: torch.Tensor, turn: StepAssignment) -> None:
        """Once: of what kind the program's losses are."""
        self._looked = True
        if turn.weight is None and is_a_sum(root, self._computed):
            warnings.warn(A_SUM, stacklevel=2)

    def _belongs_to(self) -> StepAssignment | None:
        if self._turn:
            return self._turn
        if self._trained and not self.places.elsewhere:
            return StepAssignment(self.places.here.epoch, (), kind=StepKind.AGAIN)
        return None

    def _reduce(self, turn: StepAssignment, loss: float) -> None:
        if turn.kind is StepKind.BATCH:
            self._turn, self._trained = None, True
            self.supply.used()
        self.engine.reduce_step(turn, loss, self._computed)
        self._window.open()
        if turn.kind is StepKind.BATCH:
            self._showing.step(self.engine, self.places.here, self.supply)
        self.engine.meter.enter("apply")

    def _marks(self) -> list[tuple[torch.Tensor | None, int]]:
        return [(p.grad, -1 if p.grad is None else p.grad._version) for p in self._flat.trained]

    def _moved(self, before: list[tuple[torch.Tensor | None, int]]) -> bool:
        for parameter, (was, version) in zip(self._flat.trained, before, strict=True):
            grad = parameter.grad
            if grad is not was or (grad is not None and grad._version != version):
                return True
        return False

    def before_step(self, optimizer: Optimizer) -> None:
        """Raises BadProgram: it would make this member drift from the others."""
        if self._turn or self._trained:
            self._guards.check(optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        self._window.close(optimizer)

    # --- numbers

    def combine(self, numbers: Sequence[float]) -> list[list[float]] | None:
        """For each number all members'; None while this one is on its way to where the others are, and where
        the step in hand has come to nothing."""
        if self.places.elsewhere:
            return None
        starts = range(0, max(1, len(numbers)), MOST)
        # Who is lost between two parts of them is in one and not in the other.
        parts = [self.engine.combine(numbers[start : start + MOST]) for start in starts]
        if None in parts:
            return None
        return [list(column) for rows in parts if rows for column in zip(*rows, strict=True)]


def _is_a_number(root: torch.Tensor) -> bool:
    """Of its own: neither a parameter, nor a part of what the model gave."""
    return root.numel() == 1 and root.grad_fn is not None and not root._is_view()
