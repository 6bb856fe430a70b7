"""What the environment tells a trainer."""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgetrain.credentials import Credentials
from edgetrain.remote.keys import keys_of
from edgetrain_protocol.names import CHECKPOINT_DIR, STATE_PORT, Env

MODEL_FILE = "model.safetensors"
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class RemotePlace:
    uri: str
    keys: str = ""
    """Directory of its Secret's files; empty: the job names none."""


@dataclass(frozen=True)
class Settings:
    worker: str
    job: str
    """Its uid; empty where the program runs alone."""
    state_port: int
    checkpoint_dir: Path
    model_dir: Path
    cores: int
    """That the container may use."""
    credentials: Credentials
    local_data: bool = False
    """Each worker's data are its own, as the job says."""
    remote_checkpoints: RemotePlace | None = None
    """The directory of this job's own."""
    remote_model: RemotePlace | None = None
    """Of the model's file there."""
    address: str = ""
    """Where other workers reach this one."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Everything has a default that suits a program run alone.

        Raises:
            ValueError: a number is none; the message names the variable.
        """
        return cls(
            worker=env.get(Env.WORKER, ""),
            job=env.get(Env.JOB_UID, ""),
            state_port=_number(env, Env.STATE_PORT, STATE_PORT),
            checkpoint_dir=Path(env.get(Env.CHECKPOINT_DIR, CHECKPOINT_DIR)),
            model_dir=Path(env.get(Env.MODEL_DIR, "model")),
            cores=cores(len(os.sched_getaffinity(0))),
            credentials=Credentials.from_env(env),
            local_data=env.get(Env.DATA_POLICY) == "local",
            remote_checkpoints=_remote(env, Env.CHECKPOINT_URI, "checkpoint", env.get(Env.JOB_UID, "")),
            remote_model=_remote(env, Env.MODEL_URI, "model", MODEL_FILE),
            address=env.get(Env.POD_IP, ""),
        )


def _remote(env: Mapping[str, str], uri: Env, purpose: str, name: str) -> RemotePlace | None:
    """`name`: of what is meant below that address."""
    found = env.get(uri, "").rstrip("/")
    return RemotePlace(f"{found}/{name}", keys_of(purpose, env)) if found else None


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdigit():
        raise ValueError(f"{name}={text!r} is no number: unset it, or give one of 0 or more")
    return int(text)


def cores(usable: int, cgroups: Path = CGROUPS) -> int:
    """Whole cores of the container's quota, 1 or more: more threads than that only wait for one another
    within it."""
    for quota, period in _quotas(cgroups):
        if quota.isdigit() and period.isdigit():
            return max(1, min(usable, math.floor(int(quota) / int(period))))
    return usable


def _quotas(cgroups: Path) -> Iterator[Sequence[str]]:
    """Microseconds of processor, in so many of time; other words for none. Of cgroup v2, then of v1, which
    older systems on devices still have."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (cgroups / "cpu.max").read_text().split()
        yield quota, period
    with contextlib.suppress(OSError):
        files = (cgroups / "cpu" / f"cpu.cfs_{what}_us" for what in ("quota", "period"))
        yield [file.read_text().strip() for file in files]
