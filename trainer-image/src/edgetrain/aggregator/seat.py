"""A holder's place in the council: the log, and the model that it makes, on one disk.

Of one thread. Whatever a method returns to be told, or `shown` shows, survives a power cut.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from edgetrain.aggregator.documents import encode
from edgetrain.aggregator.journal import Journal
from edgetrain.aggregator.model import MOST_MISSING, Founding, Model, ModelFiles
from edgetrain.aggregator.vectors import BadVector
from edgetrain.payload.codec import Floats
from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.books import Books, NotAdmissible
from edgetrain.rounds.council import CouncilMember, Leading, Tell
from edgetrain.rounds.council_messages import Message, Refusal, Store
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Body, Council, Merge, Settings
from edgetrain.rounds.log import Entry, Log
from edgetrain.rounds.reading import books_of


class OtherLayout(ValueError):
    """A group whose program does not make the model that the job has."""


@dataclass(frozen=True)
class Shown:
    """What others may know of a holder."""

    log: Log
    books: Books
    """Of all entries, those included that are not committed."""
    model: Model
    """Of those that are."""
    leads: bool = False

    @property
    def term(self) -> int:
        """What the lead has staged is forgotten with it: who has pushed in another one pushes again."""
        return self.log.promised


class Lacking(NamedTuple):
    whole: bool
    """A version: ours is too old to be added to, or there is none."""
    merges: list[Merge]
    """What these add."""


class Seat:
    def __init__(self, directory: Path, name: str) -> None:
        """
        Args:
            name: of this disk, in this lineage: nobody else ever has it.

        Raises:
            BadJournal, BadVector: what is there is damaged.
            OSError: there is no directory.
        """
        self.name = name
        self._files = ModelFiles(directory)
        self.vectors = self._files.vectors
        self._journal = Journal(directory / "log")
        kept = self._journal.kept or Log()
        self.member = CouncilMember(name, kept)
        self.books = books_of(kept) if kept.books else None
        """Of all entries. None before it was told any."""
        self._model = self._files.read(_committed_merges(kept)) if self._files.any else None
        self._at_hand: dict[str, Floats] = {}
        """Of merged updates that were just made, so that they are not read again."""

    def close(self) -> None:
        self._journal.close()

    @property
    def model(self) -> Model | None:
        """The newest version that is committed."""
        return self._model

    @property
    def shown(self) -> Shown | None:
        """None before it has log and model."""
        if self.books is None or self._model is None:
            return None
        return Shown(self.member.log, self.books, self._model, self.member.leads)

    @property
    def is_committed(self) -> bool:
        """All that is written."""
        log = self.member.log
        return log.committed == log.last.index

    # --- alone

    def found(self, founding: Founding, vector: Floats) -> None:
        """Begin a log with this model, unless there is one.

        Raises:
            OtherLayout: there is one, and its model is another.
            OSError, BadJournal: there is no room for it.
        """
        # Not by the model: it is written first, and a kill may have come before the log.
        if self.books is not None:
            assert self._model is not None
            _needs_same(founding, self._model.founding)
            return
        data = DataRecord.fresh(founding.samples, founding.epochs)
        model = Model(founding, 0, vector)
        self._files.keep_whole(model)
        books = Books(data, council=Council(frozenset({self.name})))
        self._keep(CouncilMember(self.name, Log(books=books)))
        self._model = model

    def take_whole(self, model: Model) -> None:
        """A version that another holder has whole, where this one has an older one or none.

        Raises:
            OSError: there is no room for it.
        """
        if self._model is None or model.version > self._model.version:
            self._files.keep_whole(model)
            self._model = model

    # --- with others

    def call(self, newcomers: Collection[str] = ()) -> tuple[Tell, ...]:
        """For the next term. Raises BadJournal: the disk does not take it."""
        return self._after(*self.member.call(self.member.log.promised + 1, newcomers))

    def on_message(self, message: Message) -> tuple[Tell, ...]:
        """What is answered.

        Raises:
            BadVector: what its entries add is not here.
            BadJournal: the disk does not take it.
        """
        if isinstance(message, Store | Refusal) and message.entries and any(self.lacks(message)):
            raise BadVector("what entries add has to be on the disk before they are")
        return self._after(*self.member.on_message(message))

    def propose(self, body: Body, made: tuple[str, Floats] | None = None) -> None:
        """Write an entry, as the lead. `made`: what a merge adds, which is on the disk.

        Raises:
            NotAdmissible: it does not follow.
            BadJournal: the disk does not take it; all is as before.
        """
        assert self.books is not None
        if why := self.books.refuses(body):
            raise NotAdmissible(why)
        if made is not None:
            self._at_hand = dict((made,))
        self._keep(self.member.propose(body, hashlib.sha256(encode(body)).hexdigest()))

    def next_council(self, line: Collection[str]) -> Council | None:
        """The next change, if one is due: who is not in the line leaves, since majorities are counted with
        it; then one comes at a time, once it has all that is written."""
        member, part = self.member, self.member.part
        if not isinstance(part, Leading) or self.books is None or self.books.last:
            return None
        council, last = member.log.council(member.log.last.index), member.log.last.index
        leaving = sorted(council.holders - {self.name, *line})
        ready = (holder for holder in line if holder not in council.members and part.up_to(holder) == last)
        changed = (council.holders - {holder} for holder in leaving)
        changes = chain(changed, (council.holders | {holder} for holder in ready) if not leaving else ())
        councils = (Council(holders, council.witness) for holders in changes)
        return next((change for change in councils if member.may_change(change)), None)

    def tell(self, holder: str) -> tuple[Tell, ...]:
        """What it lacks, as far as we know; nothing if we do not lead."""
        return self.member.tell(holder)

    def lacks(self, told: Store | Refusal) -> Lacking:
        """What has to be on this disk before these entries are stored."""
        version = self._model.version if self._model else 0
        merges = (entry.body for entry in told.entries if isinstance(entry.body, Merge))
        missing = [m for m in merges if m.version > version and not self.vectors.path(m.digest)]
        too_old = bool(told.books and told.books.version > version) or len(missing) > MOST_MISSING
        return Lacking(self._model is None or too_old, missing)

    # --- within

    def _after(self, member: CouncilMember, told: tuple[Tell, ...]) -> tuple[Tell, ...]:
        self._keep(member)
        return told

    def _keep(self, member: CouncilMember) -> None:
        before = self.member.log
        self._journal.keep(member.log)
        self.member, log = member, member.log
        if log is before:
            return
        self.books = books_of(log, before, self.books) if log.books else None
        self._advance()

    def _advance(self) -> None:
        """The model, to what is committed."""
        if self._model is None:
            return
        model = self._model
        for merge, agreed in _committed_merges(self.member.log):
            if merge.version == model.version + 1:
                added = self._at_hand.get(merge.digest)
                if added is None:
                    added = self._files.added(merge, model.founding.layout)
                model = model.after(merge, added, agreed)
        if model is not self._model:
            self._model, self._at_hand = model, {}
            self._files.tidy(model, _merges(self.member.log.entries))


def _committed_merges(log: Log) -> list[tuple[Merge, Agreed]]:
    """Each with the settings that it was made by."""
    found, text = [], log.books.settings.text if log.books else ""
    for entry in log.after(log.cut.index)[: log.committed - log.cut.index]:
        match entry.body:
            case Settings():
                text = entry.body.text
            case Merge():
                found.append((entry.body, Agreed.of(text)))
    return found


def _merges(entries: Iterable[Entry]) -> list[Merge]:
    return [entry.body for entry in entries if isinstance(entry.body, Merge)]


def _needs_same(ours: Founding, jobs: Founding) -> None:
    if (ours.layout, ours.samples, ours.epochs) != (jobs.layout, jobs.samples, jobs.epochs):
        raise OtherLayout(
            f"the job trains {_named(jobs)}; this group trains {_named(ours)}: all groups run one program"
        )


def _named(founding: Founding) -> str:
    layout, epochs, samples = founding.layout, founding.epochs, founding.samples
    data = f"{samples} samples" if samples else "data of each group's own"
    return f"{layout.numbers} numbers (layout {layout.digest[:12]}) on {epochs} epochs of {data}"
