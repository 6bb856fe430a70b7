"""What the environment tells a trainer."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgetrain_protocol.names import CHECKPOINT_DIR, STATE_PORT, Env

THREADS = "EDGETRAIN_THREADS"
"""Overrides the number of threads that torch computes with."""
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Settings:
    worker: str
    state_port: int
    checkpoint_dir: Path
    model_dir: Path
    threads: int

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Everything has a default that suits a program run alone.

        Raises:
            ValueError: a number is none; the message names the variable.
        """
        return cls(
            worker=env.get(Env.WORKER, ""),
            state_port=_number(env, Env.STATE_PORT, STATE_PORT),
            checkpoint_dir=Path(env.get(Env.CHECKPOINT_DIR, CHECKPOINT_DIR)),
            model_dir=Path(env.get(Env.MODEL_DIR, "model")),
            threads=_number(env, THREADS, _cores()),
        )


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdigit():
        raise ValueError(f"{name}={text!r} is no number: unset it, or give one of 0 or more")
    return int(text)


def _cores() -> int:
    """Whole cores of the quota: more threads than that only wait for one another within it."""
    usable = len(os.sched_getaffinity(0))
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, min(usable, math.floor(int(quota) / int(period))))
    except (OSError, ValueError):
        return usable
