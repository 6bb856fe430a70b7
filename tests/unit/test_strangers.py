"""Whoever connects and proves nothing: it costs little, it goes, and it locks nobody out."""

import contextlib
import resource
import shutil
import socket
import ssl
import threading
import time
import tracemalloc
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.waiting import wait_for
from edgetrain import acceptor
from edgetrain.acceptor import MOST_STRANGERS, Acceptor, Prove
from edgetrain.credentials import Credentials, Stranger
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer.donor import Donor
from edgetrain.engine.transfer.replay_log import ReplayLog
from edgetrain.fleet_client import FleetClient, FleetConnection
from edgetrain.link import Position
from edgetrain.metrics_page import serve_metrics
from edgetrain_operator.fleet import ca, door
from edgetrain_operator.fleet import service as fleet_service
from edgetrain_operator.fleet.door import Room
from edgetrain_operator.fleet.keyring import Keyring, renewed
from edgetrain_operator.fleet.service import GUESTS, STRANGERS
from edgetrain_protocol.report import MOST_REQUEST_BYTES
from tests.support.fleet import Lease, report, serving, settings_for
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.identities import JOB, credentials, keyring, write_identity
from tests.support.identities import stranger as impostor

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Both ends of all connections are ours here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def crowd() -> Iterator[Callable[[int, int], list[socket.socket]]]:
    """Makes so many idle connections to a port."""
    with ExitStack() as stack:

        def connect(port: int, count: int) -> list[socket.socket]:
            connections = (socket.create_connection((HOST, port)) for _ in range(count))
            return [stack.enter_context(closing(one)) for one in connections]

        yield connect


Connect = Callable[[int, int], list[socket.socket]]


def is_ended(connection: socket.socket, seconds: float = 0) -> bool:
    """Whether the other end has closed it; what it said first does not count."""
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except (BlockingIOError, TimeoutError):
        return False
    except OSError:
        return True
    return True


# --- the fleet API


@pytest.mark.attack(2)
def test_idle_strangers_are_bounded_and_a_worker_is_served_meanwhile(crowd: Connect, tmp_path: Path) -> None:
    with serving() as service, FleetClient(settings_for(service, tmp_path)) as worker:
        worker.send([report(sequence=0)])
        strangers = crowd(service.port, STRANGERS + 200)
        wait_for(lambda: service.door.ended >= 200, 10, lambda: str(service.door.connected))
        assert sum(map(is_ended, strangers)) == 200
        worker.send([report(sequence=1)])
        assert service.door.connected == {"stranger": STRANGERS, "guest": 1}


@pytest.mark.attack(2)
def test_strangers_do_not_take_all_files_of_an_operator_that_may_open_few(
    crowd: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some runtimes give their containers 1,024, which is what strangers are given room for elsewhere."""
    monkeypatch.setattr(door, "raise_limit", lambda: 1024)
    with serving() as service, FleetClient(settings_for(service, tmp_path)) as worker:
        strangers = crowd(service.port, STRANGERS)
        wait_for(lambda: service.door.ended, 10, lambda: str(service.door.connected))
        worker.send([report(sequence=0)])
        assert sum(not is_ended(stranger) for stranger in strangers) < (1024 - door.KEPT_DESCRIPTORS) / 4
        assert door.room_within(Room(STRANGERS, GUESTS)).guests > 600


@pytest.mark.attack(2)
def test_who_shows_no_token_in_time_goes_and_who_did_stays(
    crowd: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_service, "STRANGER_SECONDS", 1.0)
    with serving() as service, FleetClient(settings_for(service, tmp_path)) as worker:
        worker.send([report(sequence=0)])
        (stranger,) = crowd(service.port, 1)
        stranger.sendall(b"\x16\x03\x01")
        assert is_ended(stranger, 5)
        worker.send([report(sequence=1)])
        assert service.door.connected == {"stranger": 0, "guest": 1}
        assert service.door.ended == 1


@pytest.mark.attack(2)
def test_a_connection_takes_little_memory(crowd: Connect) -> None:
    """asyncio's default sets 256 KiB aside for each."""
    with serving() as service:
        crowd(service.port, 10)
        wait_for(lambda: service.door.connected["stranger"] == 10, 5, lambda: str(service.door.connected))
        tracemalloc.start()
        try:
            crowd(service.port, 100)
            wait_for(
                lambda: service.door.connected["stranger"] == 110, 5, lambda: str(service.door.connected)
            )
            assert tracemalloc.get_traced_memory()[0] < 100 * (64 << 10)
        finally:
            tracemalloc.stop()


def test_connections_that_end_are_counted_no_more(crowd: Connect, tmp_path: Path) -> None:
    with serving() as service:
        for stranger in crowd(service.port, 20):
            stranger.close()
        with FleetClient(settings_for(service, tmp_path)) as worker:
            worker.send([report()])
        wait_for(lambda: not any(service.door.connected.values()), 5, lambda: str(service.door.connected))
        assert service.door.ended == 0


def test_a_token_of_another_job_makes_nobody_a_guest(tmp_path: Path) -> None:
    with serving() as service:
        settings = settings_for(service, tmp_path)
        write_identity(settings.identity, "w-a", job="another", by=service.fleet.keyring)
        with FleetClient(settings) as worker, pytest.raises(Exception, match="token"):
            worker.send([report()])
        assert service.door.connected["guest"] == 0


@pytest.mark.attack(12)
def test_a_standby_keeps_nothing_of_who_shows_no_token(tmp_path: Path) -> None:
    keyring, lease = renewed(None, datetime.now(UTC)), Lease(leading=False)
    with serving(keyring) as leader, serving(keyring, lease) as standby:
        lease.address = f"{HOST}:{leader.port}"
        settings = settings_for(standby, tmp_path)
        trusting = ssl.create_default_context(cafile=str(settings.ca_file))
        with closing(FleetConnection(settings.address, trusting)) as stranger:
            stranger.putrequest("POST", f"/v1/jobs/{settings.job_uid}/reports")
            stranger.putheader("Content-Length", str(MOST_REQUEST_BYTES))
            stranger.putheader("Authorization", "Bearer 0000.not-it")
            stranger.endheaders()
            # The leader has answered before any of its body has come.
            assert stranger.getresponse().status == 401


@pytest.mark.attack(23)
@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc"])
def test_the_schema_is_not_served(tmp_path: Path, path: str) -> None:
    with serving() as service, FleetClient(settings_for(service, tmp_path)) as client:
        assert client._kept("GET", path, None, 5).status == 404


# --- what each pod listens on


@pytest.mark.attack(12)
def test_a_caller_that_drips_is_ended_when_its_time_is_over(
    crowd: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "STRANGER_SECONDS", 1.5)
    heard: list[bytes] = []

    def read_for_ever(connection: socket.socket, prove: Prove) -> None:
        while byte := connection.recv(1):
            heard.append(byte)

    with closing(Acceptor(read_for_ever, name="test", host=HOST)) as listening:
        (caller,) = crowd(listening.port, 1)
        began = time.monotonic()
        while not is_ended(caller, 0.1):
            assert time.monotonic() - began < 10
            caller.sendall(b".")
        assert 1 < time.monotonic() - began < 5 and len(heard) > 5


@pytest.mark.attack(12)
def test_strangers_lock_nobody_out_who_proves_itself(crowd: Connect) -> None:
    def greet(connection: socket.socket, prove: Prove) -> None:
        if connection.recv(5) == b"token":
            prove()
            connection.sendall(b"welcome")
            connection.recv(1)

    with closing(Acceptor(greet, name="test", host=HOST, most=2)) as listening:
        strangers = crowd(listening.port, 2 * MOST_STRANGERS)
        honest = crowd(listening.port, 3)
        for one in honest:
            one.sendall(b"token")
            one.settimeout(5)
        # Two are served, the third is turned away: no stranger counts among them.
        assert sorted(one.recv(7) for one in honest) == [b"", b"welcome", b"welcome"]
        assert sum(map(is_ended, strangers)) >= MOST_STRANGERS


@pytest.mark.attack(12)
def test_a_port_is_listened_on_after_descriptors_had_run_out() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listening = Acceptor(lambda one, _: one.sendall(b"here"), name="test", host=HOST)
    with closing(listening), socket.socket() as first, socket.socket() as second:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            # A thread that waits in accept has a descriptor for the next caller already, and for no other.
            for caller in (first, second):
                caller.connect((HOST, listening.port))
                caller.settimeout(0.5)
            with pytest.raises(TimeoutError):
                second.recv(4)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for caller in (first, second):
            caller.settimeout(5)
            assert caller.recv(4) == b"here"


@pytest.mark.attack(12)
def test_idle_readers_of_a_metrics_page_take_few_threads(crowd: Connect) -> None:
    with closing(serve_metrics(CollectorRegistry(), 0, HOST)) as page:
        before = threading.active_count()
        crowd(page.port, 200)
        wait_for(lambda: threading.active_count() > before, 5, lambda: "nobody is served")
        with urllib.request.urlopen(f"http://{HOST}:{page.port}/metrics", timeout=5) as answer:
            assert answer.status == 200
        # Those that were put out end a moment later.
        most = before + MOST_STRANGERS + 1
        wait_for(lambda: threading.active_count() <= most, 5, lambda: f"{threading.active_count()} threads")


# --- who is known


def donating(known: Credentials) -> AbstractContextManager[Donor]:
    def snapshot() -> Snapshot:
        raise AssertionError("nobody asked who may")

    return closing(Donor(0, known, ReplayLog(1), snapshot, lambda: Position(FIRST_HISTORY)))


@pytest.mark.parametrize("who", ["nobody", "another job's", "another operator's"])
@pytest.mark.attack(3)
def test_a_donor_says_nothing_to_who_is_no_pod_of_its_job(crowd: Connect, who: str, tmp_path: Path) -> None:
    def snapshot() -> Snapshot:
        raise AssertionError("nobody asked who may")

    with closing(
        Donor(0, credentials(tmp_path, "w-a"), ReplayLog(1), snapshot, lambda: Position(FIRST_HISTORY))
    ) as donor:
        (stranger,) = crowd(donor.port, 1)
        stranger.settimeout(5)
        if who == "nobody":
            stranger.sendall(bytes(64))
            with contextlib.suppress(ConnectionResetError):
                assert len(stranger.recv(4096)) < 32  # an alert
            return
        other = (
            credentials(tmp_path, "w-b", "another-job")
            if who == "another job's"
            else credentials(tmp_path, "w-b", by=impostor())
        )
        with pytest.raises(OSError, match=r"certificate|which is not ours"):
            other.dial(stranger)


@pytest.mark.attack(3)
def test_who_answers_must_be_the_one_that_was_dialled(crowd: Connect, tmp_path: Path) -> None:
    def snapshot() -> Snapshot:
        raise AssertionError("nobody asked who may")

    with closing(
        Donor(0, credentials(tmp_path, "w-a"), ReplayLog(1), snapshot, lambda: Position(FIRST_HISTORY))
    ) as donor:
        ours = credentials(tmp_path, "w-b")
        first, second = crowd(donor.port, 2)
        with pytest.raises(Stranger, match="w-c's address is answered by w-a"):
            ours.dial(first, "w-c")
        with ours.dial(second, "w-a") as secured:
            assert ours.peer_of(secured) == (JOB, "w-a", "pod-w-a")


def test_a_certificate_outlives_clocks_and_its_volume(crowd: Connect, tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=9000)
    old = Keyring((ca.make_authority(long_ago),), keyring().token_keys)
    here, there = credentials(tmp_path, "w-a", by=old), credentials(tmp_path, "w-b", by=old)
    with donating(here) as donor:
        for caller in crowd(donor.port, 2):
            there.dial(caller, "w-a").close()
            shutil.rmtree(tmp_path / f"{JOB}-w-a", ignore_errors=True)


@pytest.mark.attack(13)
def test_pods_of_a_lost_authority_keep_their_channels(crowd: Connect, tmp_path: Path) -> None:
    """The operator has made itself another authority, and handed it round."""
    here, there = credentials(tmp_path, "w-a"), credentials(tmp_path, "w-b")
    others = impostor()
    for worker in ("w-a", "w-b"):
        (tmp_path / f"{JOB}-{worker}" / "authorities.crt").write_text(ca.bundle(others.authorities))
    newcomer = credentials(tmp_path, "w-c", by=others)
    with donating(here) as donor:
        old, new = crowd(donor.port, 2)
        there.dial(old, "w-a").close()
        with pytest.raises(OSError, match="certificate"):  # the newcomer knows of the new one alone
            newcomer.dial(new, "w-a")
