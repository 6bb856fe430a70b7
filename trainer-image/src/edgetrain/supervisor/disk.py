"""What a supervisor keeps on its disk: its votes, the last plan, which trainer it last started.

Written whole, synced and renamed: a power cut leaves the old file or the new one.
"""

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from edgetrain.durable_files import write_durably
from edgetrain.group.members import Member
from edgetrain.group.record import Record
from edgetrain.supervisor.record_reading import RECORD
from edgetrain_protocol.report import DISK_FAILED, VOTES_LOST
from edgetrain_protocol.signed_plan import SignedPlan

log = logging.getLogger(__name__)

Kept = TypeVar("Kept")

_MEMBER = TypeAdapter(Member)
_ASIDE = "votes-in-"
"""In front of a group's name."""


class BadDisk(RuntimeError):
    """A vote that can be neither read nor written. Going on could break a promise, so nobody does."""

    reason: ClassVar[str] = DISK_FAILED


class LostVotes(BadDisk):
    """This pod has voted before and knows nothing of it."""

    reason = VOTES_LOST

    def __init__(self, shown_by: str, formation: int) -> None:
        what = f"{shown_by} shows this pod in formation {formation}, of which it knows nothing"
        super().__init__(f"{what}: its disk was lost, so that only a new pod may vote")


@dataclass
class Disk:
    directory: Path
    gone: bool = False
    """The directory was taken away under us. What it held lives in this process, and ends with it."""

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)

    def save_record(self, record: Record) -> None:
        """
        Raises:
            BadDisk: it cannot be written; what was on the disk before still is.
        """
        self._keep("votes.json", RECORD.dump_json(record))

    def save_aside(self, record: Record) -> None:
        """
        Raises:
            BadDisk: as for votes.
        """
        self._keep(f"{_ASIDE}{record.history.group}.json", RECORD.dump_json(record))

    def save_member(self, member: Member) -> None:
        """Before this trainer is started: after a crash it can be declared ended.

        Raises:
            BadDisk: as for votes.
        """
        self._keep("trainer.json", _MEMBER.dump_json(member))

    def save_plan(self, plan: SignedPlan) -> None:
        """A plan is no promise: one that is lost is fetched again."""
        try:
            self._keep("plan.json", plan.model_dump_json().encode())
        except BadDisk as error:
            log.warning("%s; the plan is followed all the same", error)

    def look(self) -> bool:
        """Whether it is gone. A steady group would not notice for hours: it writes nothing."""
        if not self.gone and not self.directory.is_dir():
            self.gone = True
            log.error("%s is gone: votes and plan are kept in memory", self.directory)
        return self.gone

    def _keep(self, name: str, data: bytes) -> None:
        try:
            write_durably(self.directory / name, data)
        except OSError as error:
            if self.look():
                return  # Nothing old is left either that a restart could take for the truth.
            text = f"{self.directory / name} cannot be written: {error}; make room on the node's disk"
            raise BadDisk(text) from error

    def record(self) -> Record | None:
        """The votes given before, or None where there are none.

        Raises:
            BadDisk: they cannot be read.
        """
        return self._read("votes.json", RECORD)

    def set_aside(self) -> list[Record]:
        """The votes given in groups that this pod has left.

        Raises:
            BadDisk: they cannot be read.
        """
        found = (self._read(path.name, RECORD) for path in sorted(self.directory.glob(f"{_ASIDE}*.json")))
        return [record for record in found if record is not None]

    def member(self) -> Member | None:
        """The trainer that was last started, or None."""
        return self._read("trainer.json", _MEMBER)

    def plan(self) -> SignedPlan | None:
        """The last plan held, which was checked before it was kept. One that cannot be read is set aside, and
        fetched again."""
        path = self.directory / "plan.json"
        try:
            return SignedPlan.from_wire(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            log.warning("%s cannot be read and is set aside; the plan is fetched again: %s", path, error)
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".unreadable"))
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
