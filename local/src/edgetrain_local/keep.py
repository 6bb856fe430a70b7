"""What of a run is kept in its directory, so that it can go on later: who the job is, plan, status, keys."""

import fcntl
import json
import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from edgetrain_local.errors import RunError
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.fleet.keyring import Keyring, renewed
from edgetrain_protocol.status import JobStatus

FILE, LOCK = "run.json", "run.lock"


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """
    Raises:
        RunError: another run uses this directory, or it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("w")
    except OSError as error:
        raise RunError(
            f"{directory} cannot be used: {error.strerror or error}; give another --dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"another run uses {directory}: give another --dir") from error
        yield


@dataclass(frozen=True)
class Kept:
    directory: Path
    command: tuple[str, ...]
    uid: str = field(default_factory=lambda: f"run-{secrets.token_hex(6)}")
    created: float = field(default_factory=time.time)
    keyring: Keyring = field(default_factory=lambda: renewed(None, datetime.now(UTC)))
    stored: StoredPlan = field(default_factory=StoredPlan)
    status: JobStatus = field(default_factory=JobStatus)

    @classmethod
    def of(cls, directory: Path, command: Sequence[str]) -> Self:
        """What is there, or a run that is new.

        Raises:
            RunError: what is there cannot be read, or is a run of another command.
        """
        file, command = directory / FILE, tuple(command)
        if not file.exists():
            return cls(directory, command)
        try:
            document = json.loads(file.read_text())
            if (before := tuple(document["command"])) != command:
                raise RunError(
                    f"{directory} is a run of `{shlex.join(before[1:])}`: give another --dir, or remove it"
                )
            return cls(
                directory,
                command,
                document["uid"],
                document["created"],
                Keyring.from_secret(document["keyring"]),
                StoredPlan.from_wire(document["stored"]),
                JobStatus.model_validate(document["status"]),
            )
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise RunError(f"{file} is none of ours: {error}; give another --dir, or remove it") from error

    def tried_again(self) -> Self:
        """Where it has failed: with nothing against anybody."""
        workers = {name: record.forgiven() for name, record in self.stored.workers.items()}
        stored = self.stored.model_copy(update={"workers": workers})
        status = self.status.model_copy(update={"conditions": [], "completion_time": None, "failures": 0})
        return replace(self, stored=stored, status=status)

    def save(self) -> None:
        """Whole or not at all: a plan that is served has to be there after a cut."""
        document = {
            "uid": self.uid,
            "command": self.command,
            "created": self.created,
            "keyring": self.keyring.to_secret(),
            "stored": self.stored.to_document(),
            "status": self.status.to_wire(),
        }
        new = self.directory / f".{FILE}"
        new.touch(mode=0o600)
        new.write_text(json.dumps(document))
        new.replace(self.directory / FILE)
