"""The newest version, as an envoy makes it: added to what is at hand, or fetched whole."""

import numpy as np

from edgetrain.aggregator.model import MOST_MISSING
from edgetrain.envoy.versions import Fetch, Versions
from edgetrain.payload.codec import Floats
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Merge


def ones(count: float) -> Floats:
    return np.full(4, count, np.float32)


def books_at(version: int) -> Books:
    return Books(DataRecord.fresh(4, 1), version, f"d{version}")


def merge(version: int) -> Merge:
    return Merge(version, version - 1, (), 1, 0, f"d{version}")


def test_what_versions_add_is_fetched_one_after_the_other() -> None:
    versions = Versions()
    assert versions.wanted(books_at(0)) == Fetch()
    versions = versions.whole(0, ones(0)).read(merge(1)).read(merge(2))
    assert versions.wanted(books_at(2)) == Fetch(merge(1))
    assert versions.added(merge(2), ones(5)) == versions, "not before the one that it follows"
    versions = versions.added(merge(1), ones(1)).added(merge(2), ones(2))
    assert versions.version == 2 and versions.wanted(books_at(2)) is None
    assert versions.vector is not None and versions.vector.tolist() == [3, 3, 3, 3]
    assert versions.merges == ()


def test_who_lacks_many_or_one_that_nobody_has_named_takes_it_whole() -> None:
    versions = Versions(0, ones(0))
    for version in range(1, MOST_MISSING + 2):
        versions = versions.read(merge(version))
    assert versions.wanted(books_at(MOST_MISSING)) == Fetch(merge(1))
    assert versions.wanted(books_at(MOST_MISSING + 1)) == Fetch()
    assert Versions(0, ones(0)).read(merge(2)).wanted(books_at(2)) == Fetch()


def test_a_whole_version_may_be_newer_than_what_was_read_and_never_goes_back() -> None:
    versions = Versions(0, ones(0)).read(merge(1)).whole(3, ones(7)).read(merge(2)).read(merge(4))
    assert versions.wanted(books_at(2)) is None
    assert versions.wanted(books_at(4)) == Fetch(merge(4))
    assert versions.whole(2, ones(1)).version == 3
