"""A serving certificate that others issue, followed through its renewals on real sockets, with no restart."""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain.fleet_client import FleetClient
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.external_certificate import (
    HANDED_ROUND,
    ExternalCertificate,
    Mount,
    Offer,
    followed,
    offer,
)
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.fleet.tls import BadCertificate
from edgetrain_operator.runtime import renewal
from tests.support.authorities import intermediate
from tests.support.fleet import JOB, MemoryStore, report, served_certificate, serving, settings_for
from tests.support.mounted import Mounted

NOW = datetime.now(UTC)
SHORTLY = timedelta(seconds=30)


@pytest.fixture
def authority() -> ca.KeyPair:
    return ca.make_authority(NOW)


@pytest.fixture
def mounted(tmp_path: Path, authority: ca.KeyPair) -> Mounted:
    """As after cert-manager's first certificate."""
    mounted = Mounted(tmp_path / "tls")
    mounted.turn_to(ca.make_serving(authority, NOW), authority.certificate)
    return mounted


class TestDecisions:
    def pair(self, days: int = 90) -> ca.KeyPair:
        return ca.make_serving(ca.make_authority(NOW), NOW, life=timedelta(days=days))

    def test_the_first_is_served_at_once(self) -> None:
        pair = self.pair()
        assert offer(followed((), pair, "A", NOW), NOW).pair == pair

    def test_a_renewal_by_the_same_authority_is_served_at_once(self) -> None:
        known = followed((), self.pair(), "A", NOW)
        renewal = self.pair()
        assert offer(followed(known, renewal, "A", NOW + SHORTLY), NOW + SHORTLY).pair == renewal

    def test_a_new_authority_is_handed_round_first(self) -> None:
        old, new = self.pair(), self.pair()
        known = followed(followed((), old, "A", NOW), new, "B", NOW + SHORTLY)
        assert offer(known, NOW + SHORTLY).pair == old
        assert offer(known, NOW + SHORTLY).authorities == "BA"
        assert offer(known, NOW + SHORTLY + HANDED_ROUND).pair == new

    def test_a_renewal_meanwhile_does_not_begin_the_wait_anew(self) -> None:
        known = followed(followed((), self.pair(), "A", NOW), self.pair(), "B", NOW + SHORTLY)
        newest = self.pair()
        known = followed(known, newest, "B", NOW + HANDED_ROUND)
        assert offer(known, NOW + SHORTLY + HANDED_ROUND).pair == newest

    def test_an_expired_certificate_is_not_waited_with(self) -> None:
        new = self.pair()
        known = (
            ExternalCertificate(new, "B", NOW + HANDED_ROUND),
            ExternalCertificate(self.pair(days=-1), "A", NOW),
        )
        assert offer(known, NOW).pair == new

    def test_the_old_authority_goes_when_every_replica_has_turned(self) -> None:
        new = self.pair()
        known = followed(followed((), self.pair(), "A", NOW), new, "B", NOW)
        served = NOW + HANDED_ROUND
        assert offer(followed(known, new, "B", served), served).authorities == "BA"
        later = served + HANDED_ROUND
        assert offer(followed(known, new, "B", later), later).authorities == "B"


class TestMount:
    def test_what_kubelets_bring_is_read(self, mounted: Mounted) -> None:
        assert Mount(mounted.directory).look(NOW).pair.parsed.subject

    def test_nothing_mounted(self, tmp_path: Path) -> None:
        with pytest.raises(BadCertificate, match=r"must hold tls\.crt, tls\.key, ca\.crt"):
            Mount(tmp_path).look(NOW)

    def test_issuer_without_a_ca(self, mounted: Mounted, authority: ca.KeyPair) -> None:
        mounted.turn_to(ca.make_serving(authority, NOW), "")
        with pytest.raises(BadCertificate, match="cannot be used"):
            Mount(mounted.directory).look(NOW)

    def test_key_of_another_certificate(self, mounted: Mounted, authority: ca.KeyPair) -> None:
        one, other = ca.make_serving(authority, NOW), ca.make_serving(authority, NOW)
        mounted.turn_to(ca.KeyPair(one.certificate, other.key), authority.certificate)
        with pytest.raises(BadCertificate, match=r"(?i)key.values.mismatch"):
            Mount(mounted.directory).look(NOW)

    def test_certificate_of_another_authority(self, mounted: Mounted, authority: ca.KeyPair) -> None:
        mounted.turn_to(ca.make_serving(ca.make_authority(NOW), NOW), authority.certificate)
        with pytest.raises(BadCertificate, match="unable to get local issuer"):
            Mount(mounted.directory).look(NOW)

    def test_a_version_that_goes_while_it_is_read(self, mounted: Mounted, authority: ca.KeyPair) -> None:
        """As the kubelet has it: the next one is there when the version before is removed."""
        pairs = [ca.make_serving(authority, NOW) for _ in range(2)]
        done = threading.Event()

        def turn() -> None:
            for pair in itertools.cycle(pairs):
                if done.wait(0.005):
                    return
                mounted.turn_to(pair, authority.certificate)

        with ThreadPoolExecutor(1) as pool:
            turning = pool.submit(turn)
            try:
                for _ in range(150):
                    assert Mount(mounted.directory).look(NOW).authorities == authority.certificate
            finally:
                done.set()
            turning.result()

    def test_expired_certificate(self, mounted: Mounted, authority: ca.KeyPair) -> None:
        old = ca.make_serving(authority, NOW - timedelta(days=9), life=timedelta(days=8))
        mounted.turn_to(old, authority.certificate)
        with pytest.raises(BadCertificate, match="expired"):
            Mount(mounted.directory).look(NOW)

    def test_certificate_for_another_name(
        self, mounted: Mounted, authority: ca.KeyPair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ca, "FLEET_SERVER_NAME", "cloud.example.org")
        mounted.turn_to(ca.make_serving(authority, NOW), authority.certificate)
        with pytest.raises(BadCertificate, match=r"not valid for 'fleet\.edgetrain\.io'"):
            Mount(mounted.directory).look(NOW)


class TestOnSockets:
    def test_renewal_is_served_and_open_connections_go_on(
        self, mounted: Mounted, authority: ca.KeyPair, tmp_path: Path
    ) -> None:
        mount = Mount(mounted.directory)
        with serving(given=mount.look(NOW)) as service:
            settings = settings_for(service, tmp_path)
            with FleetClient(settings) as kept:
                kept.send([report(sequence=0)])
                second = ca.make_serving(authority, NOW)
                mounted.turn_to(second, authority.certificate)
                service.use_given(mount.look(NOW + SHORTLY))
                assert served_certificate(settings.address) == second.certificate
                kept.send([report(sequence=1)])
            with FleetClient(settings) as fresh:
                fresh.send([report(sequence=2)])

    def test_whoever_dials_in_during_a_renewal_is_served(self, authority: ca.KeyPair) -> None:
        """A certificate and its key come one after the other: a handshake between them would have neither."""
        offers = [Offer(ca.make_serving(authority, NOW), authority.certificate) for _ in range(2)]
        dialled = threading.Event()
        with serving(given=offers[0]) as service:

            def renew() -> None:
                while not dialled.is_set():
                    for given in offers:
                        service.use_given(given)

            with ThreadPoolExecutor(1) as pool:
                renewing = pool.submit(renew)
                try:
                    served = {served_certificate(f"127.0.0.1:{service.port}") for _ in range(200)}
                finally:
                    dialled.set()
                renewing.result()
        assert served == {given.pair.certificate for given in offers}

    def test_authority_that_another_signed_is_enough(self, mounted: Mounted, tmp_path: Path) -> None:
        """As an issuer's Secret often has it: the root is nobody's business."""
        between = intermediate(ca.make_authority(NOW), NOW)
        mounted.turn_to(ca.make_serving(between, NOW), between.certificate)
        with (
            serving(given=Mount(mounted.directory).look(NOW)) as service,
            FleetClient(settings_for(service, tmp_path)) as client,
        ):
            client.send([report()])

    def test_workers_verify_through_a_change_of_authority(self, mounted: Mounted, tmp_path: Path) -> None:
        """Whoever holds the bundle from before the turn, or from after it, is served all along."""
        mount = Mount(mounted.directory)
        with serving(given=mount.look(NOW)) as service:
            settings = settings_for(service, tmp_path)
            first = served_certificate(settings.address)
            other = ca.make_authority(NOW)
            mounted.turn_to(ca.make_serving(other, NOW), other.certificate)
            service.use_given(mount.look(NOW + SHORTLY))
            assert served_certificate(settings.address) == first
            with FleetClient(settings) as client:
                client.send([report(sequence=0)])
            settings.ca_file.write_text(service.fleet.ca_bundle())
            service.use_given(mount.look(NOW + SHORTLY + HANDED_ROUND))
            assert served_certificate(settings.address) != first
            with FleetClient(settings) as client:
                client.send([report(sequence=1)])

    def test_jobs_hear_of_a_new_bundle(self, mounted: Mounted, tmp_path: Path) -> None:
        mount = Mount(mounted.directory)
        with serving(given=mount.look(NOW)) as service:
            with FleetClient(settings_for(service, tmp_path)) as client:
                client.send([report()])
            told: list[str] = []
            service.fleet.on_change(told.append)
            service.use_given(mount.look(NOW + SHORTLY))
            assert told == []
            other = ca.make_authority(NOW)
            mounted.turn_to(ca.make_serving(other, NOW), other.certificate)
            service.use_given(mount.look(NOW + SHORTLY))
            assert told == [JOB]

    def test_own_keyring_does_not_displace_it_and_is_still_trusted(self, mounted: Mounted) -> None:
        keyring = renewed(None, NOW)
        with serving(keyring, given=Mount(mounted.directory).look(NOW)) as service:
            before = served_certificate(f"127.0.0.1:{service.port}")
            service.use(renewed(None, NOW))
            service.use(keyring)
            assert served_certificate(f"127.0.0.1:{service.port}") == before
            assert keyring.authorities[0].certificate in service.fleet.ca_bundle()

    def test_a_bad_renewal_is_told_once_and_the_one_before_serves_on(
        self,
        mounted: Mounted,
        authority: ca.KeyPair,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(renewal, "MOUNT_SECONDS", 0.01)
        mount = CountingMount(mounted.directory)
        with serving(given=mount.look(NOW)) as service, caplog.at_level(logging.ERROR):
            address = f"127.0.0.1:{service.port}"
            before, good = served_certificate(address), ca.make_serving(authority, NOW)

            def meanwhile() -> None:
                mounted.turn_to(ca.make_serving(ca.make_authority(NOW), NOW), authority.certificate)
                looks = mount.looks
                wait_for(lambda: mount.looks > looks + 3)
                assert served_certificate(address) == before
                mounted.turn_to(good, authority.certificate)
                wait_for(lambda: served_certificate(address) == good.certificate)

            asyncio.run(renewing(mount, service, meanwhile))
        assert len(caplog.records) == 1
        assert "unable to get local issuer" in caplog.text


class CountingMount(Mount):
    looks = 0

    def look(self, now: datetime) -> Offer:
        self.looks += 1
        return super().look(now)


async def renewing(mount: Mount, service: FleetService, meanwhile: Callable[[], None]) -> None:
    """Renew as the operator does while something else happens."""
    task = asyncio.create_task(renewal.renew_for_ever(MemoryStore(), mount, service))
    await asyncio.to_thread(meanwhile)
    task.cancel()
