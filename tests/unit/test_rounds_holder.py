"""A holder without sockets: who comes, who is over by the plan, and who asks one that does not lead."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from benchmarks.waiting import wait_for
from edgetrain.aggregator.charge import Charge
from edgetrain.aggregator.holder import Holder, NotLeading
from edgetrain.aggregator.model import Founding, Layout, Model, ModelFiles
from edgetrain.aggregator.vectors import digest_of
from edgetrain.link import HolderAddress
from edgetrain.rounds.data_record import Fate
from edgetrain.rounds.entries import Body, Change, Group, Lease, Opened
from edgetrain.rounds.leasing import Want
from edgetrain_protocol.history import History

A = History(1, "a", 1)
INITIAL = np.zeros(8, np.float32)
FOUNDING = Founding(Layout(8, "eight"), 8, 1, digest_of(INITIAL))


LINE = {name: HolderAddress(name, "127.0.0.1", 1) for name in ("h1", "h2")}
CHARGE = Charge(LINE, "h1", {"a": ("w",)})


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    with closing(Holder(tmp_path, "h1", CHARGE)) as made:
        wait_for(lambda: made.serves, 5.0, "its first look")
        yield made


def reads(holder: Holder, wanted: Callable[[Body], bool]) -> Body:
    """The first entry of this kind, once there is one."""
    known = 0
    while True:
        found = holder.page(known, 5.0)
        assert found is not None and found[0].bodies, f"nothing comes behind entry {known}"
        for body in found[0].bodies:
            if wanted(body):
                return body
        known += len(found[0].bodies)


def test_a_group_that_is_over_by_the_plan_leaves_and_its_data_are_free(holder: Holder) -> None:
    holder.found(FOUNDING, INITIAL)
    with holder.hearing.request(A):
        holder.join(A, Want(4, 2))
        assert reads(holder, lambda body: isinstance(body, Lease))
        holder.follow(structs.replace(CHARGE, groups={}))
        assert reads(holder, lambda body: body == Group(A, Change.RETIRED))
        assert holder.shown is not None and holder.shown.books.data.count(Fate.FREE) == 8


def test_a_kill_between_the_model_and_its_log_leaves_room_for_another_start(tmp_path: Path) -> None:
    ModelFiles(tmp_path).keep_whole(Model(FOUNDING, 0, INITIAL))
    with closing(Holder(tmp_path, "h1", CHARGE)) as holder:
        wait_for(lambda: holder.serves, 5.0, "its first look")
        assert holder.page(0, 0.0) is None
        holder.found(FOUNDING, INITIAL)
        assert isinstance(reads(holder, lambda body: True), Opened)


def test_who_does_not_lead_sends_groups_on(tmp_path: Path) -> None:
    with closing(Holder(tmp_path, "h2", CHARGE)) as second:
        with pytest.raises(NotLeading, match="h2 does not lead"):
            second.page(0, 1.0)
        with pytest.raises(NotLeading):
            second.found(FOUNDING, INITIAL)
        with pytest.raises(NotLeading):
            second.join(A, Want(4, 2))
