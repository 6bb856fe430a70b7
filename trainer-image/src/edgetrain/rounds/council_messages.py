"""What the members of the council say to one another."""

from dataclasses import dataclass

from edgetrain.rounds.log import Entry, Stamp


@dataclass(frozen=True)
class Call:
    """The sender would lead `term`, from the log that ends with `last`."""

    term: int
    caller: str
    last: Stamp
    committed: int


@dataclass(frozen=True)
class Vote:
    term: int
    voter: str
    committed: int
    """Up to here the logs of voter and lead are the same for certain."""


@dataclass(frozen=True)
class Refusal:
    """Of a call or an entry of a term that is over, or of a caller whose log lacks something."""

    promised: int
    entries: tuple[Entry, ...] = ()
    """What the caller lacks, from the first that it does not know to be committed: for its next call."""


@dataclass(frozen=True)
class Store:
    """The lead's word: have these entries behind `after`; without any it says that it is there."""

    term: int
    lead: str
    after: Stamp
    entries: tuple[Entry, ...]
    committed: int


@dataclass(frozen=True)
class Stored:
    """Up to `index` the sender's log is that of the lead of `term`."""

    term: int
    holder: str
    index: int


Message = Call | Vote | Refusal | Store | Stored
