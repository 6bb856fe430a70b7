"""How training gets on, for a person: a bar on a terminal, elsewhere a line now and then; TensorBoard's files
where they were asked for. The main member's alone, since all know the same."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sized
from typing import Any, TextIO

from edgetrain.engine.errors import BadProgram
from edgetrain.engine.place import Place
from edgetrain.link import Progress
from edgetrain.loop.carrier import Engine
from edgetrain_protocol.names import PROGRESS

LINE_SECONDS = 30.0
DRAW_SECONDS = 0.1
BAR = "{desc} {percentage:3.0f}%|{bar:20}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}]{postfix}"


class Showing:
    """For the program's thread."""

    def __init__(
        self,
        board: str = "",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            board: a directory for TensorBoard; none where it is empty.

        Raises:
            BadProgram: the package tensorboard is not there.
        """
        self.wanted = os.environ.get(PROGRESS, "") != "none"
        self._stream, self._clock = stream or sys.stderr, clock
        self._on_terminal = self._stream.isatty()
        self._due = clock() + (DRAW_SECONDS if self._on_terminal else LINE_SECONDS)
        self._bar: Any = None
        self._board = _board(board) if board else None

    def step(self, engine: Engine, here: Place, batches: Sized) -> None:
        """A batch's step is committed: the last that was given at this place, of an epoch of `batches`."""
        if self._board and engine.last and engine.standing[0] == 0:
            self._board.add_scalar("loss", engine.last.loss, engine.last.number)
        if not self.wanted:
            return
        now = self._clock()
        if self._on_terminal and (now >= self._due or here.passed >= len(batches)):
            self._due = now + DRAW_SECONDS
            self._draw(engine, here.passed, len(batches))
        elif not self._on_terminal and now >= self._due:
            self._due = now + LINE_SECONDS
            if engine.standing[0] == 0:
                print(f"edgetrain: {line(engine.meter.progress, engine.standing[1])}", file=self._stream)

    def logged(self, engine: Engine, values: Mapping[str, float]) -> None:
        """What the program logs itself."""
        if self._board and engine.standing[0] == 0:
            for name, value in values.items():
                self._board.add_scalar(name, value, engine.step)

    def end(self) -> None:
        """Nothing is trained any more."""
        if self._bar is not None:
            self._bar.close()
        if self._board:
            self._board.close()

    def _draw(self, engine: Engine, batch: int, batches: int) -> None:
        if self._bar is None:
            # Here, since most programs run where there is no terminal.
            from tqdm import tqdm

            self._bar = tqdm(total=batches, bar_format=BAR, file=self._stream, leave=True)
        if batch < self._bar.n:
            self._bar.reset(batches)
        told = engine.meter.progress
        self._bar.set_description_str(f"epoch {told.epoch + 1}", refresh=False)
        self._bar.set_postfix_str(_rates(told, engine.standing[1]), refresh=False)
        self._bar.update(batch - self._bar.n)


def line(told: Progress, members: int) -> str:
    """For a log."""
    done = f"{told.percent:.0f} %, " if told.percent else ""
    return f"step {told.step}, epoch {told.epoch + 1}, {done}{_rates(told, members)}"


def _rates(told: Progress, members: int) -> str:
    loss = "" if told.loss is None else f"loss {told.loss:.4g}, "
    who = f", {members} members" if members > 1 else ""
    return f"{loss}{told.samples_per_second:.0f} samples/s{who}"


def _board(directory: str) -> Any:
    try:
        # Here, since it takes a second and is seldom wanted.
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadProgram(
            "edgetrain.join got tensorboard=..., and the package tensorboard is not installed: add it to the "
            "image"
        ) from error
    return SummaryWriter(directory)
