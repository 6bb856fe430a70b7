"""What of a run is kept in its directory, so that it can go on later: who the job is, plan, status, keys."""

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from edgetrain_local.errors import RunError
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.fleet.keyring import Keyring, renewed
from edgetrain_protocol.status import JobStatus

FILE = "run.json"


@dataclass(frozen=True)
class Kept:
    directory: Path
    uid: str = field(default_factory=lambda: f"run-{secrets.token_hex(6)}")
    created: float = field(default_factory=time.time)
    keyring: Keyring = field(default_factory=lambda: renewed(None, datetime.now(UTC)))
    stored: StoredPlan = field(default_factory=StoredPlan)
    status: JobStatus = field(default_factory=JobStatus)

    @classmethod
    def of(cls, directory: Path) -> Self:
        """What is there, or a run that is new.

        Raises:
            RunError: what is there cannot be read.
        """
        file = directory / FILE
        if not file.exists():
            return cls(directory)
        try:
            document = json.loads(file.read_text())
            return cls(
                directory,
                document["uid"],
                document["created"],
                Keyring.from_secret(document["keyring"]),
                StoredPlan.from_wire(document["stored"]),
                JobStatus.model_validate(document["status"]),
            )
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RunError(f"{file} is none of ours: {error}; give another --dir, or remove it") from error

    def save(self) -> None:
        """Whole or not at all: a plan that is served has to be there after a cut."""
        document = {
            "uid": self.uid,
            "created": self.created,
            "keyring": self.keyring.to_secret(),
            "stored": self.stored.to_document(),
            "status": self.status.to_wire(),
        }
        new = self.directory / f".{FILE}"
        new.touch(mode=0o600)
        new.write_text(json.dumps(document))
        new.replace(self.directory / FILE)
