"""Who is not of a group and finds its listener: nothing answers, whatever the group is at."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetrain import link
from edgetrain.engine.formation.builder import ADMIT_SECONDS
from edgetrain.engine.formation.gloo import AddressStore, GroupBroken, ProcessGroup, shut_down
from edgetrain.link.codec import unpack_bytes
from tests.support.reducers import Reducers, timed_sum
from tests.support.trainers import Coordinator, Trainer, coordinating

Address = tuple[str, int]

FLOOD = 1100
"""A process may often have 1,024 descriptors."""
MEMBERS = ("127.0.0.2", "127.0.0.3")
STRANGER = "127.0.0.66"
DIALLED_FROM = "127.0.0.1"
"""Whoever dials on loopback and says nothing about it comes from there, wherever it listens itself."""
BUILD_SECONDS = 2.0
"""Gloo waits five times as long for others to connect."""
START_SECONDS = 60.0


def bound_to(source: str) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    connection.bind((source, 0))
    return connection


def reaches(listener: Address, source: str) -> bool:
    with bound_to(source) as connection:
        connection.settimeout(0.3)
        try:
            connection.connect(listener)
        except (TimeoutError, ConnectionRefusedError):
            return False
        return True


def flood(listener: Address, source: str) -> None:
    """Connect and leave, so many times: on loopback what is let in stands before connect returns."""
    for _ in range(FLOOD):
        with bound_to(source) as connection:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect(listener)


def descriptors(process: int | str | None) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


@pytest.fixture
def half_built() -> Iterator[tuple[AddressStore, Address]]:
    """A group of two, of which the first waits for the other to connect and the other does not know where."""
    listening = threading.Barrier(3)

    def publish(key: str, value: bytes) -> None:
        if key.endswith("1"):
            stores[0].put(key, value)
        listening.wait(START_SECONDS)

    def build(rank: int) -> None:
        with contextlib.suppress(GroupBroken):
            ProcessGroup(stores[rank], rank, 2, MEMBERS[rank], BUILD_SECONDS, MEMBERS)

    stores = [AddressStore(publish) for _ in MEMBERS]
    building = [threading.Thread(target=build, args=(rank,)) for rank in range(2)]
    for thread in building:
        thread.start()
    listening.wait(START_SECONDS)
    yield stores[0], stores[0].listeners()[0]
    for rank, thread in enumerate(building):
        shut_down(stores[rank], rank)
        thread.join()


@pytest.fixture(params=[True, False], ids=["kernel filters", "kernel does not"])
def group(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Coordinator]:
    """Newer kernels filter for a process with CAP_NET_ADMIN alone, which no worker pod has."""
    with coordinating(tmp_path, epochs=100_000, pause=0.01, net_admin=request.param) as group:
        yield group


def two(group: Coordinator, comes_from: str, addresses: tuple[str, str] = MEMBERS) -> list[Trainer]:
    trainers = group.spawn_all("a", "b")
    for trainer, address in zip(trainers, addresses, strict=True):
        trainer.address, trainer.comes_from = address, comes_from
    return trainers


def listener_of(trainer: Trainer) -> Address:
    """Where its last formation's group listens, as it told the others."""
    told = trainer.last(link.StoreSet)
    store = AddressStore(lambda key, value: None)
    store.put(told.key, unpack_bytes(told.value_b64))
    (listener,) = store.listeners().values()
    return listener


@pytest.mark.attack(1, 22)
def test_while_a_group_is_built_its_members_alone_reach_it(half_built: tuple[AddressStore, Address]) -> None:
    store, listener = half_built
    before = descriptors("self")
    flood(listener, STRANGER)
    assert not reaches(listener, STRANGER)
    assert descriptors("self") == before
    assert reaches(listener, MEMBERS[1])
    # Gloo goes on listening until its time is over.
    shut_down(store, 0)
    assert not reaches(listener, MEMBERS[1])


@pytest.mark.parametrize(
    ("addresses", "others"), [(MEMBERS, (STRANGER, DIALLED_FROM, *MEMBERS)), (("::1", "::1"), ("::1",))]
)
@pytest.mark.attack(1, 22)
def test_once_it_is_built_nobody_reaches_it_and_it_trains_on(
    group: Coordinator, addresses: tuple[str, str], others: tuple[str, ...]
) -> None:
    one, other = two(group, DIALLED_FROM, addresses)
    group.start([one, other])
    group.until(lambda: group.committed() > 3)
    listener, before = listener_of(one), descriptors(one.process.pid)
    for source in others:
        assert not reaches(listener, source)
    flood(listener, others[0])
    group.step_after(lambda: None)
    assert descriptors(one.process.pid) <= before
    assert not group.broken()


def test_groups_that_have_stopped_listening_are_ended_one_after_another(group: Coordinator) -> None:
    """Gloo ends its process where a listener is not what it takes it for."""
    group.start(group.spawn_all("a", "b"))
    for _ in range(3):
        group.step_after(group.reform)
    assert all(trainer.alive for trainer in group.trainers)


@pytest.mark.parametrize("group", [True], indirect=True)
def test_a_member_whose_address_nobody_knew_comes_in_late_and_the_door_is_shut_behind_it(
    group: Coordinator,
) -> None:
    one, other = two(group, comes_from="")
    begun = time.monotonic()
    group.start([one, other])
    group.until(lambda: group.committed() > 3)
    assert time.monotonic() - begun > ADMIT_SECONDS
    assert not group.broken()
    assert not reaches(listener_of(one), DIALLED_FROM)


def test_where_the_kernel_takes_no_filter_groups_are_built_all_the_same() -> None:
    too_many = [f"10.{number // 250}.{number % 250}.1" for number in range(5000)]
    reducers = Reducers([("", address) for address in MEMBERS], come_from=too_many)
    try:
        assert all(right for _, right in reducers.do(timed_sum, "ring", 0, 1000, 1))
    finally:
        reducers.close()
