"""Each member draws random numbers of its own: dropout, augmentation and exploration are not to be the same
on all.

They depend on the program's seed, the worker and the step (Python's and numpy's: the epoch), and on nothing
else: a member that goes on from another's state, or from a checkpoint, needs to be told nothing.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_of(*parts: object) -> int:
    """63 bits."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_step(seed: int) -> None:
    """torch's own generator: at each step, since that costs next to nothing."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def seed_epoch(seed: int) -> None:
    """Python's and numpy's: where the program begins to go through its data."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)


def generator(*parts: object) -> torch.Generator:
    """One that gives the same numbers wherever it is made of the same parts."""
    return torch.Generator().manual_seed(seed_of(*parts))


class SharedNumbers:
    """Those that all members draw alike where they read their data: torch's, Python's and numpy's, beside the
    program's, which differ."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: tuple[Any, ...] | None = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Meanwhile they are drawn, from where they were left; the program's are as before afterwards."""
        before = _states()
        if self._states is None:
            torch.default_generator.manual_seed(self._seed)
            seed_epoch(self._seed)
        else:
            _set_states(self._states)
        try:
            yield
        finally:
            self._states = _states()
            _set_states(before)


def _states() -> tuple[Any, ...]:
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def _set_states(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])
