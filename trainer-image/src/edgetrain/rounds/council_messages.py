"""What the members of the council say to one another. As JSON each names its kind."""

from msgspec import Struct

from edgetrain.rounds.books import Books
from edgetrain.rounds.log import NOTHING, Entry, Stamp


class Call(Struct, frozen=True, tag=True):
    """The sender would lead `term`, from the log that ends with `last`."""

    term: int
    caller: str
    last: Stamp
    committed: int


class Vote(Struct, frozen=True, tag=True):
    term: int
    voter: str
    committed: int
    """Up to here the logs of voter and lead are the same for certain."""


class Refusal(Struct, frozen=True, tag=True):
    """Of a call or an entry of a term that is over, or of a caller whose log lacks something."""

    promised: int
    entries: tuple[Entry, ...] = ()
    """What the caller lacks, from the first that it does not know to be committed: for its next call."""
    cut: Stamp = NOTHING
    books: Books | None = None
    """What entries up to `cut` amount to, where the caller lacks some of those and the sender has none of
    them."""


class Store(Struct, frozen=True, tag=True):
    """The lead's word: have these entries behind `after`; without any it says that it is there."""

    term: int
    lead: str
    after: Stamp
    entries: tuple[Entry, ...]
    committed: int
    cut: Stamp = NOTHING
    """Up to here the lead has forgotten its entries, and whoever has them may forget them as well."""
    books: Books | None = None
    """What those amount to, where the holder may lack some of them."""


class Stored(Struct, frozen=True, tag=True):
    """Up to `index` the sender's log is that of the lead of `term`."""

    term: int
    holder: str
    index: int


Message = Call | Vote | Refusal | Store | Stored
