"""What the operator tells a supervisor through its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgetrain.credentials import Credentials
from edgetrain.rundir import run_dir_of
from edgetrain.supervisor.remote_settings import RemoteSettings
from edgetrain_protocol import names
from edgetrain_protocol.names import Env

PLAN_FILE = "EDGETRAIN_PLAN_FILE"
"""A SignedPlan as JSON, watched, in place of FLEET_ADDRESS: to run a group by hand."""
USUAL_GRACE_SECONDS = 30
"""Of pods that an operator made which does not say."""
GOODBYE_SECONDS = 10
"""Of a pod's grace period, for what comes after the program: last words to peers and to the operator."""


class BadSetting(ValueError):
    """A variable is missing or nonsense; the text names it."""


@dataclass(frozen=True)
class Settings:
    worker: str
    pod_uid: str
    pod: str
    node: str
    address: str
    """Where other pods reach this one."""
    control_port: int
    state_port: int
    probe_port: int
    rounds_port: int
    metrics_port: int
    stop_seconds: float
    """For a last checkpoint, before the program is killed."""
    credentials: Credentials
    state_dir: Path
    checkpoint_dir: Path
    run_dir: Path
    program_dir: Path
    plan_file: Path | None
    remote: RemoteSettings

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the environment.

        Raises:
            BadSetting: a variable is missing or nonsense.
        """

        def need(name: str) -> str:
            if not env.get(name):
                raise BadSetting(f"{name} is not set: the operator sets it in worker pods")
            return env[name]

        def port(name: str, default: int) -> int:
            text = env.get(name, str(default))
            if not text.isdigit() or not 0 < int(text) < 65536:
                raise BadSetting(f"{name}={text!r} is no port: give a number from 1 to 65535")
            return int(text)

        grace = env.get(Env.GRACE_SECONDS, str(USUAL_GRACE_SECONDS))
        if not grace.isdigit():
            raise BadSetting(f"{Env.GRACE_SECONDS}={grace!r} is no time: give whole seconds")
        return cls(
            worker=need(Env.WORKER),
            pod_uid=need(Env.POD_UID),
            pod=env.get(Env.POD) or need(Env.WORKER),
            node=env.get(Env.NODE) or need(Env.WORKER),
            address=need(Env.POD_IP),
            control_port=port(Env.CONTROL_PORT, names.CONTROL_PORT),
            state_port=port(Env.STATE_PORT, names.STATE_PORT),
            probe_port=port(Env.PROBE_PORT, names.PROBE_PORT),
            rounds_port=port(Env.ROUNDS_PORT, names.ROUNDS_PORT),
            metrics_port=port(Env.TRAINER_METRICS_PORT, names.TRAINER_METRICS_PORT),
            stop_seconds=max(int(grace) - GOODBYE_SECONDS, int(grace) / 2),
            credentials=Credentials.from_env(env),
            state_dir=Path(env.get(Env.STATE_DIR, names.STATE_DIR)) / "supervisor",
            checkpoint_dir=Path(env.get(Env.CHECKPOINT_DIR, names.CHECKPOINT_DIR)),
            run_dir=run_dir_of(env),
            program_dir=Path(env.get(names.PROGRAM_FILES, names.PROGRAM_DIR)),
            plan_file=Path(env[PLAN_FILE]) if env.get(PLAN_FILE) else None,
            remote=RemoteSettings.from_env(env),
        )
