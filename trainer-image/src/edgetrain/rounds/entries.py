"""What the log of merges says. Entries are small: vectors are files of their own, named by their hash.

As JSON each names its kind.
"""

from enum import Enum
from typing import NamedTuple

from msgspec import Struct

from edgetrain.data import Block
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import RoundPayload


class UpdateKey(NamedTuple):
    """Names one update of a group for good: whoever encodes it, however often it is pushed."""

    history: History
    seq: int


class Contribution(Struct, frozen=True):
    """One update, as it is merged."""

    key: UpdateKey
    digest: str
    """Of the bytes that were merged. A successor of the one who encoded them may have pushed others."""
    base: int
    """The version that its group's work is measured from."""
    blocks: tuple[Block, ...]
    """Of the run's positions: what was trained on."""
    steps: int
    """That the optimiser took, skipped ones left out."""
    attempt: int = 0
    """Rises with each who encodes it."""
    samples: int = 0
    """That those steps trained on; 0 where that is not known."""
    payload: RoundPayload = RoundPayload.FP32
    """Of its bytes."""


class Lease(Struct, frozen=True, tag=True):
    """The group alone may train on these, until they are merged or returned."""

    history: History
    blocks: tuple[Block, ...]


class Why(Enum):
    UNUSED = "unused"
    """Its group gives them back as they are. For any other reason samples may be seen twice."""
    REFUSED = "the update that contains them cannot be merged"
    REISSUED = "the group is away for too long"


class Return(Struct, frozen=True, tag=True):
    """They are free again."""

    history: History
    blocks: tuple[Block, ...]
    why: Why
    seq: int = 0
    """The update that will never be merged, whoever gets its data: else a lease of the same data to the same
    group would make it admissible again. 0: none, as they are unused."""


class Merge(Struct, frozen=True, tag=True):
    """Version `version` is version `parent` and these updates."""

    version: int
    parent: int
    contributions: tuple[Contribution, ...]
    groups: int
    """On the books: each contribution counts one part in so many, whoever else is present."""
    settings: int
    """Number of those by which it was made."""
    digest: str
    """Of the merged update: who applies it to the parent has the version, byte for byte."""
    leases: tuple[Lease, ...] = ()
    """Rides along: the normal way to get data."""
    payload: RoundPayload = RoundPayload.FP32
    """Of the merged update's bytes."""


class Settings(Struct, frozen=True, tag=True):
    number: int
    text: str
    """Rule, policy, payload and local steps, as the plan has them: those who act by them read them."""


class Change(Enum):
    FORMED = "formed"
    """From the newest version. A generation after another ends that one: what it had not merged is lost."""
    SPLIT = "split off another"
    """Which goes on with all unmerged work of both; this one has none."""
    FOLDED = "folded into another"
    """With nothing unmerged: its members enter the other one as newcomers."""
    ENDED = "has trained on all data of its own"
    """With nothing unmerged. No generation of it comes again."""
    RETIRED = "retired"


class Group(Struct, frozen=True, tag=True):
    history: History
    change: Change
    other: History | None = None
    """Of a split and a fold."""


class Durable(Struct, frozen=True, tag=True):
    version: int
    places: tuple[str, ...]


class Last(Struct, frozen=True, tag=True):
    """All data are merged, those included that groups had of their own: nothing comes after this version."""

    version: int


class Opened(Struct, frozen=True, tag=True):
    """A term begins. With it the entries before it are committed: its lead may not count those alone."""

    lead: str


class Council(Struct, frozen=True, tag=True):
    """Who holds the log from here on: counted as soon as it is stored, committed or not."""

    holders: frozenset[str]
    """Identities, each of one disk in one lineage: who has lost its disk is somebody else, and so is who
    begins a new log. Nobody of a lineage that is over knows whom to tell anything."""
    witness: str = ""

    @property
    def members(self) -> frozenset[str]:
        return self.holders | ({self.witness} - {""})


NOBODY = Council(frozenset())

Body = Merge | Lease | Return | Settings | Group | Durable | Last | Opened | Council
