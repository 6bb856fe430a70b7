"""Where a worker pod finds the fleet API, and as whom it comes: what the operator sets in its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgetrain_protocol.names import CA_FILE, IDENTITY_DIR, Env


@dataclass(frozen=True)
class FleetSettings:
    """Whom to dial, and as whom."""

    address: str
    """host:port"""
    job_uid: str
    worker: str
    pod_uid: str
    identity: Path
    """The directory with the pod's token."""
    ca_file: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read what the operator sets in a worker pod.

        Raises:
            ValueError: a variable is missing; the message names it.
        """

        def need(name: Env) -> str:
            if value := env.get(name):
                return value
            raise ValueError(f"{name} is not set: a worker pod gets it from the operator")

        return cls(
            address=need(Env.FLEET_ADDRESS),
            job_uid=need(Env.JOB_UID),
            worker=need(Env.WORKER),
            pod_uid=need(Env.POD_UID),
            identity=Path(env.get(Env.IDENTITY_DIR, IDENTITY_DIR)),
            ca_file=Path(env.get(Env.CA_FILE, CA_FILE)),
        )
