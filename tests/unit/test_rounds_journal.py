"""The log of a holder on its disk: what was kept is there wherever its last line is cut; damage is told."""

import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain.aggregator.documents import BadDocument, decode, encode
from edgetrain.aggregator.journal import BadJournal, Journal
from edgetrain.data import Block
from edgetrain.rounds.books import Books
from edgetrain.rounds.council_messages import Message, Refusal, Store, Stored
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import (
    Body,
    Change,
    Contribution,
    Council,
    Durable,
    Group,
    Last,
    Lease,
    Merge,
    Opened,
    Return,
    Settings,
    UpdateKey,
    Why,
)
from edgetrain.rounds.log import Entry, Log, Stamp
from edgetrain_protocol.history import History

A, B = History(1, "a", 1), History(1, "b", 2)
BLOCKS = (Block(0, 4), Block(8, 9))
BODIES: list[Body] = [
    Opened("h1"),
    Group(A, Change.FORMED),
    Group(B, Change.SPLIT, A),
    Lease(A, BLOCKS),
    Merge(1, 0, (Contribution(UpdateKey(A, 1), "d", 0, BLOCKS, 5, 2),), 2, 0, "e", (Lease(B, BLOCKS),)),
    Return(A, BLOCKS, Why.REISSUED, 3),
    Settings(1, "text"),
    Durable(1, ("n1", "n2")),
    Council(frozenset({"h1", "h2"}), "operator"),
    Last(1),
]
BOOKS = Books(DataRecord.fresh(10, 2), council=Council(frozenset({"h1"})))


def log_of(count: int, term: int = 1) -> Log:
    entries = tuple(Entry(term, i + 1, f"digest {i}", body) for i, body in enumerate(BODIES[:count]))
    return Log(term, entries, max(0, count - 1), books=BOOKS)


def test_every_document_comes_back_as_it_was() -> None:
    for entry in log_of(len(BODIES)).entries:
        assert decode(encode(entry), Entry) == entry
    books = BOOKS.fold(BODIES[:4])
    assert decode(encode(books), Books) == books
    store = Store(3, "h1", Stamp(1, 2), log_of(3).entries, 2, Stamp(1, 1), BOOKS)
    messages: list[Message] = [store, Stored(3, "h2", 4), Refusal(5, log_of(2).entries, Stamp(1, 1), BOOKS)]
    for message in messages:
        assert decode(encode(message), Message) == message  # type: ignore[arg-type]


@pytest.mark.parametrize("nonsense", [b"", b"{", b"[" * 100_000, b'{"term": "x"}', b"\xff"])
def test_nonsense_is_no_document(nonsense: bytes) -> None:
    with pytest.raises(BadDocument):
        decode(nonsense, Entry)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.booleans()), min_size=1, max_size=8))
def test_what_is_kept_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    for count, term, restarts in changes:
        journal = Journal(path)
        wanted = log_of(count, term)
        journal.keep(wanted)
        if restarts:
            wanted = wanted.forget(wanted.committed // 2)
            journal.keep(wanted)
        journal.close()
        assert Journal(path).kept == wanted


def test_a_line_that_power_has_cut_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(path)
    journal.keep(log_of(1))
    before = path.stat().st_size
    journal.keep(log_of(3))
    journal.close()
    whole = path.read_bytes()
    for size in range(before, len(whole)):
        path.write_bytes(whole[:size])
        again = Journal(path)
        assert again.kept == log_of(1)
    again.keep(log_of(4))
    again.close()
    assert Journal(path).kept == log_of(4)


def test_a_line_that_is_damaged_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(path)
    for count in (1, 2, 3):
        journal.keep(log_of(count))
    journal.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadJournal, match=r"is damaged: .*; take it away, and the holder begins anew"):
        Journal(path)


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(path)
    journal.keep(log_of(2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Half of the next line fits.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, hard))
    try:
        with pytest.raises(BadJournal, match="make room on the node's disk"):
            journal.keep(log_of(5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert journal.kept == Journal(path).kept == log_of(2)
    journal.keep(log_of(6))
    journal.close()
    assert Journal(path).kept == log_of(6)
