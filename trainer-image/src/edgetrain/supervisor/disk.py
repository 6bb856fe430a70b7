"""What a supervisor keeps on its disk: its votes, the last plan, which trainer it last started.

Written whole, synced and renamed: a power cut leaves the old file or the new one.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from edgetrain.group.members import Member
from edgetrain.group.record import Record
from edgetrain_protocol.plan import Plan

Kept = TypeVar("Kept")

_RECORD = TypeAdapter(Record)
_MEMBER = TypeAdapter(Member)


class BadDisk(RuntimeError):
    """A file of ours that cannot be read. Going on without it could break a promise, so nobody does."""


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file; when this returns it survives a power cut."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True)
class Disk:
    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)

    def save_record(self, record: Record) -> None:
        write_durably(self.directory / "votes.json", _RECORD.dump_json(record))

    def save_member(self, member: Member) -> None:
        """Before this trainer is started: after a crash it can be declared ended."""
        write_durably(self.directory / "trainer.json", _MEMBER.dump_json(member))

    def save_plan(self, plan: Plan) -> None:
        write_durably(self.directory / "plan.json", plan.model_dump_json(by_alias=True).encode())

    def record(self) -> Record | None:
        """The votes given before, or None where there are none.

        Raises:
            BadDisk: they cannot be read.
        """
        return self._read("votes.json", _RECORD)

    def member(self) -> Member | None:
        """The trainer that was last started, or None."""
        return self._read("trainer.json", _MEMBER)

    def plan(self) -> Plan | None:
        """The last plan held. One that cannot be read is fetched again."""
        try:
            return Plan.from_wire((self.directory / "plan.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _read(self, name: str, kind: TypeAdapter[Kept]) -> Kept | None:
        path = self.directory / name
        try:
            return kind.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            mend = "delete the pod, so that a new one takes part with a new vote"
            raise BadDisk(f"{path} cannot be read: {error}; {mend}") from error
