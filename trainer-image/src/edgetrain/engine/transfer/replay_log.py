"""The reduced gradients of the last steps, kept so that a newcomer can replay them. Bounded memory."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

import torch
from msgspec import Struct

from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.step_kind import StepKind
from edgetrain.link import FormationId

KEEP_BYTES = 64 * 1024 * 1024
KEEP_AT_LEAST = 1


class Entry(Struct, frozen=True):
    """One committed step: applying `total` takes any member from step - 1 to step."""

    step: int
    formation: FormationId
    total: torch.Tensor
    """The reduced vector as `FlatModel.unpack` takes it; of a step of numbers, the bytes of all rows; of one
    that merges, the version that is applied, if one is."""
    ledger: Ledger
    """After the step."""
    kind: StepKind = StepKind.BATCH

    @property
    def bytes(self) -> int:
        return self.total.numel() * self.total.element_size()


class ReplayLog:
    """Written by the training thread, read by those that serve newcomers.

    The vectors of forgotten steps are used again: to take 100 MB from the system takes as long as to sum
    """

    def __init__(self, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._entries: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._readers = 0
        self._spare: torch.Tensor | None = None

    def vector(self, size: int) -> torch.Tensor:
        """Room for the sum of another step; it holds whatever was there."""
        with self._changed:
            spare, self._spare = self._spare, None
        return spare if spare is not None and spare.numel() == size else torch.empty(size)

    def append(self, entry: Entry) -> None:
        """Keep one more step and forget the oldest beyond the bound. The entry's vector is the log's now."""
        with self._changed:
            self._entries.append(entry)
            self._bytes += entry.bytes
            while len(self._entries) > KEEP_AT_LEAST and self._bytes > self._keep_bytes:
                self._forget(self._entries.popleft())
            self._changed.notify_all()

    def _forget(self, entry: Entry) -> None:
        self._bytes -= entry.bytes
        if not self._readers and entry.kind in (StepKind.BATCH, StepKind.AGAIN):
            self._spare = entry.total

    def clear(self) -> None:
        """After foreign state was loaded, these steps are not of one history with it."""
        with self._changed:
            self._entries.clear()
            self._bytes = 0

    @contextlib.contextmanager
    def after(self, step: int, wait_seconds: float) -> Iterator[Entry | None]:
        """The step after `step`, waited for; None if it is not there in time. Stays whole until it was read.

        Raises:
            LookupError: it was forgotten: only a snapshot helps.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._front() > step, wait_seconds)
            found = self._find(step + 1) if self._front() > step else None
            self._readers += 1
        try:
            yield found
        finally:
            with self._changed:
                self._readers -= 1

    def _find(self, step: int) -> Entry:
        index = step - self._entries[0].step
        if index < 0:
            raise LookupError(f"step {step} is no more kept; the oldest is {self._entries[0].step}")
        return self._entries[index]

    def _front(self) -> int:
        return self._entries[-1].step if self._entries else -1
