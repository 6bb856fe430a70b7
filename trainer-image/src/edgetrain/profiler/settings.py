"""What the profiler is told by its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgetrain.credentials import Credentials
from edgetrain.fleet_settings import FleetSettings
from edgetrain.rundir import run_dir_of
from edgetrain_protocol.names import (
    CONTROL_PORT,
    PROBE_PORT,
    PROFILER_PORT,
    ROUNDS_PORT,
    STATE_DIR,
    STATE_PORT,
    TRAINER_METRICS_PORT,
    Env,
)


@dataclass(frozen=True)
class Settings:
    fleet: FleetSettings
    credentials: Credentials
    job: str
    """namespace/name; empty where the operator is too old to say."""
    node: str
    pod: str
    address: str
    """The pod's IP."""
    control_port: int
    state_port: int
    rounds_port: int
    probe_port: int
    metrics_port: int
    trainer_metrics_port: int
    run_dir: Path
    state_dir: Path
    """The profiler's own part of it."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read what the operator sets in a worker pod.

        Raises:
            ValueError: a variable is missing or no number; the message names it.
        """
        return cls(
            fleet=FleetSettings.from_env(env),
            credentials=Credentials.from_env(env),
            job=env.get(Env.JOB, ""),
            node=_need(env, Env.NODE),
            pod=_need(env, Env.POD),
            address=_need(env, Env.POD_IP),
            control_port=_port(env, Env.CONTROL_PORT, CONTROL_PORT),
            state_port=_port(env, Env.STATE_PORT, STATE_PORT),
            rounds_port=_port(env, Env.ROUNDS_PORT, ROUNDS_PORT),
            probe_port=_port(env, Env.PROBE_PORT, PROBE_PORT),
            metrics_port=_port(env, Env.PROFILER_PORT, PROFILER_PORT),
            trainer_metrics_port=_port(env, Env.TRAINER_METRICS_PORT, TRAINER_METRICS_PORT),
            run_dir=run_dir_of(env),
            state_dir=Path(env.get(Env.STATE_DIR, STATE_DIR)) / "profiler",
        )


def _need(env: Mapping[str, str], name: Env) -> str:
    if value := env.get(name):
        return value
    raise ValueError(f"{name} is not set: a worker pod gets it from the operator")


def _port(env: Mapping[str, str], name: Env, default: int) -> int:
    value = env.get(name, str(default))
    if value.isdigit() and int(value) < 65536:
        return int(value)
    raise ValueError(f"{name} is {value!r}, but must be a port: a number up to 65535")
