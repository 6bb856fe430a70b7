"""What a holder is told by the plan, and what it shows of itself: files between it and its supervisor."""

from pathlib import Path
from typing import Self

from msgspec import Struct

from edgetrain.aggregator.documents import BadDocument, decode, encode
from edgetrain.durable_files import write_durably
from edgetrain.link import HolderAddress
from edgetrain.rounds.agreed import USUAL, Agreed

CHARGE_FILE, SHOWN_FILE = "charge.json", "shown.json"


class Charge(Struct, frozen=True):
    line: dict[str, HolderAddress]
    """Who is to be in the council, best first, by name."""
    founder: str
    """Which of them begins the log, which nobody has yet."""
    groups: dict[str, tuple[str, ...]]
    """Workers that speak for each. Nothing is merged any more of a group that is not named."""
    agreed: Agreed = USUAL
    """By what work is to be merged."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """
        Raises:
            OSError, BadDocument: there is none.
        """
        return decode((directory / CHARGE_FILE).read_bytes(), cls)

    def write(self, directory: Path) -> None:
        """Raises OSError."""
        write_durably(directory / CHARGE_FILE, encode(self))

    def speaks(self, worker: str, group: str) -> bool:
        return worker in self.groups.get(group, ())

    def is_holder(self, worker: str, name: str) -> bool:
        return name in self.line and self.line[name].worker == worker


class HolderShown(Struct, frozen=True):
    """For its worker's reports."""

    term: int = 0
    leads: bool = False
    version: int = 0
    council: tuple[str, ...] = ()
    committed: int = 0
    """Entries of the log."""
    trouble: str = ""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """None where it has not shown anything yet."""
        try:
            return decode((directory / SHOWN_FILE).read_bytes(), cls)
        except (OSError, BadDocument):
            return None

    @classmethod
    def forget(cls, directory: Path) -> None:
        """It is shown no more: whose it was has ended."""
        (directory / SHOWN_FILE).unlink(missing_ok=True)

    def write(self, directory: Path) -> None:
        """Raises OSError."""
        draft = directory / f".{SHOWN_FILE}"
        draft.write_bytes(encode(self))
        draft.rename(directory / SHOWN_FILE)
