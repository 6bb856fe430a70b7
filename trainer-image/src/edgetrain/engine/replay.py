"""The reduced gradients of the last steps, kept so that a newcomer can replay them. Bounded memory."""

import threading
from collections import deque
from dataclasses import dataclass

import torch

from edgetrain.engine.ledger import Ledger
from edgetrain.local import FormationId

KEEP_BYTES = 64 * 1024 * 1024
KEEP_AT_LEAST = 2


@dataclass(frozen=True)
class Entry:
    """One committed step: applying `total` takes any member from step - 1 to step."""

    step: int
    formation: FormationId
    total: torch.Tensor
    """The reduced vector as `Flat.unpack` takes it."""
    ledger: Ledger
    """After the step."""


class ReplayLog:
    """Written by the training thread, read by those that serve newcomers."""

    def __init__(self, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._entries: deque[Entry] = deque()
        self._changed = threading.Condition()

    def append(self, entry: Entry) -> None:
        """Keep one more step and forget the oldest beyond the bound."""
        with self._changed:
            self._entries.append(entry)
            size = entry.total.numel() * entry.total.element_size()
            while len(self._entries) > max(KEEP_AT_LEAST, self._keep_bytes // size):
                self._entries.popleft()
            self._changed.notify_all()

    def clear(self) -> None:
        """After foreign state was loaded, these steps are not of one history with it."""
        with self._changed:
            self._entries.clear()

    def after(self, step: int, wait_seconds: float) -> Entry | None:
        """The step after `step`, waited for; None if it is not there in time.

        Raises:
            LookupError: it was forgotten: only a snapshot helps.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._front() > step, wait_seconds)
            if self._front() <= step:
                return None
            index = step + 1 - self._entries[0].step
            if index < 0:
                raise LookupError(f"step {step + 1} is no more kept; the oldest is {self._entries[0].step}")
            return self._entries[index]

    def _front(self) -> int:
        return self._entries[-1].step if self._entries else -1
