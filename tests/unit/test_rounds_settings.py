"""By what work is merged: the plan says it, the log names it, and who leads next goes on by it."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from msgspec import structs

from benchmarks.waiting import wait_for
from edgetrain.aggregator.charge import Charge
from edgetrain.aggregator.holder import Holder
from edgetrain.aggregator.model import WINDOW, Founding, Layout, Model
from edgetrain.aggregator.vectors import digest_of
from edgetrain.link import HolderAddress
from edgetrain.payload.codec import Floats
from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.entries import Contribution, UpdateKey
from edgetrain.rounds.leasing import Want
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import OuterRule, RoundPayload, RoundPolicy

A, B = History(1, "a", 1), History(1, "b", 1)
NUMBERS = 8
INITIAL = np.zeros(NUMBERS, np.float32)
FOUNDING = Founding(Layout(NUMBERS, "eight", 2), 0, 1, digest_of(INITIAL))
LINE = {"h1": HolderAddress("h1", "127.0.0.1", 1)}
CHARGE = Charge(LINE, "h1", {"a": ("w",), "b": ("w",)})
DILOCO = Agreed(outer=OuterRule.NESTEROV, learning_rate=0.7, momentum=0.9)


@contextmanager
def leading(directory: Path, agreed: Agreed) -> Iterator[Holder]:
    with closing(Holder(directory, "h1", structs.replace(CHARGE, agreed=agreed))) as holder:
        wait_for(lambda: holder.serves, 5.0, "its first look")
        yield holder


def push(holder: Holder, history: History, seq: int, payload: RoundPayload = RoundPayload.FP32) -> None:
    """A group's next update, measured from the newest version."""
    shown = holder.shown
    assert shown is not None
    work: Floats = np.full(NUMBERS, math.sin(seq), np.float32)
    packing = FOUNDING.layout.packing(payload)
    data = packing.packed(work)
    update = Contribution(
        UpdateKey(history, seq), digest_of(data), shown.model.version, (), 1, payload=payload
    )
    incoming = holder.staging.receive(update, packing)
    incoming.room[:] = data.data
    incoming.fill(data.nbytes)
    holder.arrived(incoming)


def reach(holder: Holder, version: int) -> Floats:
    def newest() -> Model | None:
        shown = holder.shown
        return shown.model if shown and shown.model.version == version else None

    return wait_for(newest, 5.0, f"version {version}").vector


def trained(directory: Path, versions: int, *, restart_every: int) -> bytes:
    """The model after so many rounds of one group, its holder killed and started again on the way."""
    vector, seq = INITIAL, 0
    while seq < versions:
        with leading(directory, DILOCO) as holder, holder.hearing.request(A):
            holder.found(FOUNDING, INITIAL)
            holder.join(A, Want(4, 2))
            wait_for(partial(on_the_books, holder, A), 5.0, "it to be on the books")
            for _ in range(min(restart_every, versions - seq)):
                seq += 1
                push(holder, A, seq)
                vector = reach(holder, seq)
    return vector.tobytes()


def on_the_books(holder: Holder, history: History) -> bool:
    return holder.shown is not None and holder.shown.books.has(history)


def test_momentum_outlives_the_holders_process_to_the_last_bit(tmp_path: Path) -> None:
    versions = 2 * WINDOW + 5
    unbroken = trained(tmp_path / "unbroken", versions, restart_every=versions)
    assert trained(tmp_path / "broken", versions, restart_every=3) == unbroken
    theta, momentum = 0.0, 0.0
    for seq in range(1, versions + 1):
        momentum = 0.9 * momentum + math.sin(seq)
        theta += 0.7 * (math.sin(seq) + 0.9 * momentum)
    found = np.frombuffer(unbroken, np.float32)
    np.testing.assert_allclose(found[:6], theta, rtol=1e-4)
    np.testing.assert_allclose(found[6:], sum(math.sin(seq) for seq in range(1, versions + 1)), rtol=1e-4)


def test_settings_that_the_plan_changes_are_in_the_log_before_what_is_made_by_them(tmp_path: Path) -> None:
    quorum = Agreed(RoundPolicy.GROUPS, 1)
    with leading(tmp_path, Agreed()) as holder, holder.hearing.request(A), holder.hearing.request(B):
        holder.found(FOUNDING, INITIAL)
        for history in (A, B):
            holder.join(history, Want(4, 2))
            wait_for(partial(on_the_books, holder, history), 5.0, "it to be on the books")
        push(holder, A, 1)
        assert holder.page(10**6, 0.5) and holder.shown and not holder.shown.model.version, "b is waited for"
        holder.follow(structs.replace(CHARGE, agreed=quorum))
        reach(holder, 1)
        assert Agreed.of(holder.shown.books.settings.text) == quorum
        holder.follow(CHARGE)
        wait_for(lambda: holder.shown and not holder.shown.books.settings.text, 5.0, "the usual ones again")
        assert holder.shown.books.settings.number == 2


def test_packed_work_becomes_packed_versions_which_are_read_again_to_the_last_bit(tmp_path: Path) -> None:
    agreed, versions = Agreed(payload=RoundPayload.INT8), 5
    with leading(tmp_path, agreed) as holder, holder.hearing.request(A):
        holder.found(FOUNDING, INITIAL)
        holder.join(A, Want(4, 2))
        wait_for(partial(on_the_books, holder, A), 5.0, "it to be on the books")
        for seq in range(1, versions + 1):
            # One that has not heard of it yet packs as before.
            push(holder, A, seq, RoundPayload.FP32 if seq == 1 else RoundPayload.INT8)
            vector = reach(holder, seq)
    packing = FOUNDING.layout.packing(RoundPayload.INT8)
    sizes = {path.stat().st_size for path in (tmp_path / "vectors").iterdir()}
    assert sizes == {INITIAL.nbytes, packing.bytes} and packing.bytes < INITIAL.nbytes
    with leading(tmp_path, agreed) as holder:
        assert reach(holder, versions).tobytes() == vector.tobytes()
    expected = sum(math.sin(seq) for seq in range(1, versions + 1))
    np.testing.assert_allclose(vector[:6], expected, atol=versions * 2 / 127)
    np.testing.assert_allclose(vector[6:], expected, rtol=1e-5, err_msg="statistics go as they are")
