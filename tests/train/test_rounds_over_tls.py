"""Groups of one worker and the holder of their log, processes, over TLS: nothing is lost or merged twice.

Each position adds one part in as many groups as there are to its own number: the last version says it all.
"""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from benchmarks.waiting import wait_for
from edgetrain.aggregator import paths
from edgetrain.aggregator.client import HolderAway, HolderClient, HolderRefuses
from edgetrain.aggregator.documents import encode
from edgetrain.aggregator.model import WINDOW, Founding, Layout
from edgetrain.aggregator.seat import Shown
from edgetrain.aggregator.vectors import digest_of
from edgetrain.link import HolderAddress
from edgetrain.payload.codec import Floats
from edgetrain.rounds.entries import Contribution, Lease, Merge, Return, UpdateKey, Why
from edgetrain.rounds.leasing import Want
from edgetrain_protocol.history import History
from tests.support.forwarder import forwarding
from tests.support.identities import credentials, stranger
from tests.support.rounds_bed import RoundsBed, Running, rounds_bed

A = History(1, "a", 1)


def check(bed: RoundsBed, *ends: Running) -> Shown:
    """All of them end with the last version, in which each position is once; returns what the holder has."""
    found = [group.finished() for group in ends]
    kept = bed.ended()
    assert kept.books.last and kept.books.data.done
    for theta in (*found, kept.model.vector):
        np.testing.assert_array_equal(theta, np.full(bed.samples * bed.epochs, 0.5, np.float32))
    return kept


def begun(bed: RoundsBed, port_of_b: int = 0) -> tuple[Running, Running]:
    a, b = bed.start_group("a"), bed.start_group("b", port=port_of_b)
    bed.go(a, b)
    return a, b


def test_two_groups_train_one_model(tmp_path: Path) -> None:
    with rounds_bed(tmp_path, epochs=2) as bed:
        kept = check(bed, *begun(bed))
        merges = [e.body for e in kept.log.entries if isinstance(e.body, Merge)]
        assert all(merge.groups == 2 for merge in merges) and len(merges) > 5
        assert kept.books.data.reissued == 0


def test_a_holder_that_is_killed_goes_on_from_its_disk(tmp_path: Path) -> None:
    with rounds_bed(tmp_path, samples=1200) as bed:
        groups = begun(bed)
        for kill in range(4):
            bed.reach(2 * kill + 1)
            bed.kill_holder()
            bed.start_holder()
        kept = check(bed, *groups)
        assert kept.log.promised == 5 and kept.books.data.reissued == 0


def test_holders_that_are_killed_one_after_the_other_hold_nothing_up(tmp_path: Path) -> None:
    with rounds_bed(tmp_path, samples=1600, holders=3) as bed:
        groups = begun(bed)
        bed.hold_together()
        for _ in range(3):
            lead = bed.lead()
            bed.kill_holder(lead)
            before = bed.version()
            bed.reach(before + 2)
            bed.start_holder(lead)
            bed.hold_together()
        assert check(bed, *groups).books.data.reissued == 0


def test_a_holder_that_was_away_for_many_versions_is_brought_up_to_date(tmp_path: Path) -> None:
    """Nobody has each single update of them any more."""
    with rounds_bed(tmp_path, samples=4000, holders=3) as bed:
        groups = begun(bed)
        bed.hold_together()
        away, third = (name for name in bed.running if name != bed.lead())
        bed.kill_holder(away)
        bed.reach(bed.version() + 3 * WINDOW)
        bed.start_holder(away)
        # Of three two are left, so nothing is committed without the one that was away.
        bed.kill_holder(third)
        bed.reach(bed.version() + 2)
        assert check(bed, *groups).books.data.reissued == 0


def test_a_group_that_is_killed_begins_anew_and_its_data_are_trained_on_again(tmp_path: Path) -> None:
    with rounds_bed(tmp_path, samples=800) as bed:
        a, b = begun(bed)
        bed.reach(3)
        b.kill()
        kept = check(bed, a, bed.start_group("b", generation=2))
        assert 0 < kept.books.data.reissued < 400


def test_a_group_that_stands_still_holds_nobody_up_and_brings_its_work_later(tmp_path: Path) -> None:
    with rounds_bed(tmp_path, samples=1200) as bed:
        a, b = begun(bed)
        bed.reach(3)
        b.stop()
        before = bed.version()
        bed.reach(before + 4)
        b.wake()
        assert check(bed, a, b).books.data.reissued == 0


def test_a_link_that_breaks_again_and_again_costs_nothing(tmp_path: Path) -> None:
    # A million bytes an update, a tenth of a second each.
    with (
        rounds_bed(tmp_path, samples=250_000, batch=5000) as bed,
        forwarding("127.0.0.1", bed.ports["h1"]) as link,
    ):
        a, b = begun(bed, link.port)
        while b.process.poll() is None:
            time.sleep(0.3)
            link.end_all()
        assert check(bed, a, b).books.data.reissued == 0


def at(port: int) -> Callable[[], list[HolderAddress]]:
    return lambda: [HolderAddress("h1", "127.0.0.1", port)]


def founding(samples: int, layout: str = "adds one") -> tuple[Founding, Floats]:
    vector = np.zeros(samples, np.float32)
    return Founding(Layout(samples, layout), samples, 1, digest_of(vector)), vector


def joined(asked: HolderClient, samples: int, want: Want) -> Lease:
    """Group a is the first, and on the books; returns what is leased to it."""
    asked.found(*founding(samples))
    asked.join(A, want)

    def leased() -> Lease | None:
        return next((body for body in asked.log(0, A).page.bodies if isinstance(body, Lease)), None)

    return wait_for(leased, 30.0, "a lease")


def test_what_is_pushed_after_a_break_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    size = 4_000_000
    work = np.ones(size, np.float32)
    with rounds_bed(tmp_path) as bed, bed.client() as asked, forwarding("127.0.0.1", bed.ports["h1"]) as link:
        lease = joined(asked, size, Want(100, 100))
        update = Contribution(UpdateKey(A, 1), digest_of(work), 0, lease.blocks, 1)
        link.forth_bytes_per_second = 4 * size
        with HolderClient(at(link.port), credentials(tmp_path, "w")) as pushing:
            threading.Timer(0.4, link.end_all).start()
            with pytest.raises(HolderAway):
                pushing.push(update, work.view(np.uint8))
            before, link.forth_bytes_per_second = link.carried_forth, None
            pushing.push(update, work.view(np.uint8))
        assert 0 < link.carried_forth - before < 0.95 * 4 * size


def test_what_comes_late_by_a_connection_that_was_given_up_is_not_taken(tmp_path: Path) -> None:
    size = 1_000_000
    work = np.ones(size, np.float32)
    data = work.view(np.uint8).data
    with rounds_bed(tmp_path) as bed, bed.client() as asked, dialled(bed, tmp_path) as old:
        lease = joined(asked, size, Want(100, 100))
        update = Contribution(UpdateKey(A, 1), digest_of(work), 0, lease.blocks, 1)
        headers = {paths.DOCUMENT: encode(update).decode()}
        old.putrequest("PUT", paths.UPDATES)
        for name, value in {**headers, paths.BEGIN: "0", "Content-Length": str(len(data))}.items():
            old.putheader(name, value)
        old.endheaders(data[: len(data) // 2])

        def come() -> int:
            with dialled(bed, tmp_path) as new:
                new.request("GET", paths.UPDATES, headers=headers)
                return int(new.getresponse().headers[paths.COME])

        there = come()
        with contextlib.suppress(OSError):
            old.send(data[len(data) // 2 :])
        assert come() == there < len(data)


@contextlib.contextmanager
def dialled(bed: RoundsBed, directory: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection to the holder of which a part of a request may be sent."""
    with socket.create_connection(("127.0.0.1", bed.ports["h1"]), 20.0) as plain:
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = credentials(directory, "w").dial(plain, "h1")
    with contextlib.closing(connection):
        yield connection


def test_what_is_fetched_after_a_break_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    size = 1_000_000
    work = np.arange(size, dtype=np.float32)
    with rounds_bed(tmp_path) as bed, bed.client() as asked, forwarding("127.0.0.1", bed.ports["h1"]) as link:
        lease = joined(asked, size, Want(100, 100))
        asked.push(Contribution(UpdateKey(A, 1), digest_of(work), 0, lease.blocks, 1), work.view(np.uint8))

        def merged() -> Merge | None:
            return next((body for body in asked.log(0, A).page.bodies if isinstance(body, Merge)), None)

        digest = wait_for(merged, 30.0, "a version").digest
        link.break_at = 2 * size
        with HolderClient(at(link.port), credentials(tmp_path, "w")) as fetching:
            with pytest.raises(HolderAway):
                fetching.fetch(digest, 4 * size)
            before = link.carried
            np.testing.assert_array_equal(fetching.fetch(digest, 4 * size).view(np.float32), work)
        assert 0 < link.carried - before < 0.75 * 4 * size


def test_a_program_with_another_model_is_refused_by_name(tmp_path: Path) -> None:
    with rounds_bed(tmp_path) as bed, bed.client() as asked:
        asked.found(*founding(400))
        with pytest.raises(HolderRefuses, match=r"400 numbers .*; this group trains 500 numbers"):
            asked.found(*founding(500))
        with pytest.raises(HolderRefuses, match="all groups run one program"):
            asked.found(*founding(400, "another"))
        asked.found(*founding(400))


def test_an_update_that_is_not_finite_is_refused_and_its_group_goes_on(tmp_path: Path) -> None:
    with rounds_bed(tmp_path) as bed, bed.client() as asked:
        leased = joined(asked, 400, Want(8, 8))
        bad = np.full(400, np.nan, np.float32)
        update = Contribution(UpdateKey(A, 1), digest_of(bad), 0, leased.blocks, 1)
        with pytest.raises(HolderRefuses, match="not all of its numbers are finite"):
            asked.push(update, bad.view(np.uint8))
        assert Return(A, leased.blocks, Why.REFUSED, 1) in asked.log(0, A).page.bodies


def test_a_stranger_is_told_nothing(tmp_path: Path) -> None:
    with rounds_bed(tmp_path) as bed:
        for who in (credentials(tmp_path, "x", by=stranger()), credentials(tmp_path, "x", job="another")):
            with HolderClient(at(bed.ports["h1"]), who) as asked, pytest.raises(HolderAway):
                asked.log(0, A)


def test_who_does_not_speak_for_a_group_is_told_so(tmp_path: Path) -> None:
    with rounds_bed(tmp_path) as bed, bed.client("b-1") as asked, bed.client("v") as other:
        asked.found(*founding(400))
        for ask in (
            lambda: asked.log(0, A),
            lambda: asked.join(A, Want(8, 8)),
            lambda: asked.push(Contribution(UpdateKey(A, 1), "", 0, (), 1), np.zeros(1600, np.uint8)),
        ):
            with pytest.raises(HolderRefuses, match="b-1 does not speak for group a"):
                ask()
        with pytest.raises(HolderRefuses, match="v speaks for no group"):
            other.found(*founding(400))
        with pytest.raises(HolderRefuses, match="v does not hold the log as h1"):
            other.say("h1", None)


def test_the_plan_changes_who_holds_the_log_and_who_takes_part(tmp_path: Path) -> None:
    with rounds_bed(tmp_path, samples=1200, holders=3) as bed:
        a, b = begun(bed)
        bed.hold_together()
        gone = bed.lead()
        bed.kill_holder(gone)
        bed.ports.pop(gone)
        for name in bed.ports:
            bed.tell(name, bed.charge())
        bed.hold_together()
        b.kill()
        groups = {group: who for group, who in bed.charge().groups.items() if group != "b"}
        for name in bed.ports:
            bed.tell(name, structs.replace(bed.charge(), groups=groups))
        theta, kept = a.finished(), bed.ended()
        np.testing.assert_array_equal(theta, kept.model.vector)
        assert kept.books.last and [group.history for group in kept.books.groups] == [A]
