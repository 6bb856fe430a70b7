"""What the operator tells a supervisor of remote stores. None of it is set in most jobs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgetrain.remote.keys import keys_of
from edgetrain_protocol import names
from edgetrain_protocol.names import Env


@dataclass(frozen=True)
class Remote:
    """One store that the job names."""

    uri: str
    sha256: str = ""
    keys: str = ""
    """Directory of its Secret's files; empty: the job names none."""


@dataclass(frozen=True)
class RemoteSettings:
    program: Remote | None
    data: Remote | None
    data_dir: Path
    pushes_model: bool
    """A member does, and the others wait for that."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        def remote(purpose: str, uri: Env, sha256: Env) -> Remote | None:
            return Remote(env[uri], env.get(sha256, ""), keys_of(purpose, env)) if env.get(uri) else None

        return cls(
            program=remote("program", Env.PROGRAM_URI, Env.PROGRAM_SHA256),
            data=remote("data", Env.DATA_URI, Env.DATA_SHA256),
            pushes_model=bool(env.get(Env.MODEL_URI)),
            data_dir=Path(env.get(Env.DATA_DIR, names.DATA_DIR)),
        )
