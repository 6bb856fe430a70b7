"""Tokens, the operator's own CA and their rotation."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgetrain.fleet_client import FleetClient, Unauthorized
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.keyring import Keyring, ensure, renewed
from edgetrain_operator.fleet.tokens import TokenKey, make_key, make_token, verify_token
from tests.support.fleet import MemoryStore, report, served_certificate, serving, settings_for

NOW = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


class TestTokens:
    @pytest.mark.parametrize(
        "other",
        [
            ("job-2", "w-a", "pod"),
            ("job", "w-b", "pod"),
            ("job", "w-a", "another"),
            ("job", "w-a"),
            ("job",),
            ("job:w-a", "pod"),
            ("job", "w-a:pod"),
        ],
    )
    def test_token_is_its_own_pods_alone(self, other: tuple[str, ...]) -> None:
        key = make_key()
        token = make_token(key, "job", "w-a", "pod")
        assert verify_token([key], token, "job", "w-a", "pod")
        assert not verify_token([key], token, *other)
        assert not verify_token([make_key()], token, "job", "w-a", "pod")

    def test_token_of_an_older_key_is_believed_while_the_key_is_kept(self) -> None:
        old, new = make_key(), make_key()
        token = make_token(old, "job")
        assert verify_token([new, old], token, "job")
        assert not verify_token([new], token, "job")

    def test_secret_of_one_key_does_not_pass_under_anothers_name(self) -> None:
        one = make_key()
        impostor = TokenKey(make_key().id, one.secret)
        digest = make_token(one, "job").partition(".")[2]
        assert not verify_token([impostor], f"{impostor.id}.{digest}", "job")

    @pytest.mark.parametrize("token", ["", ".", "nothing", "\udcff.x", "0.0.0"])
    def test_what_is_no_token(self, token: str) -> None:
        assert not verify_token([make_key()], token, "job")


class TestAuthorities:
    def test_nothing_is_due_with_a_young_authority(self) -> None:
        authorities = ca.renewed((), NOW)
        assert len(authorities) == 1
        assert ca.renewed(authorities, NOW + YEAR) == authorities

    def test_old_authority_gets_a_successor_that_signs_only_when_all_have_met_it(self) -> None:
        old = ca.renewed((), NOW)
        grown_old = NOW + 7 * YEAR
        both = ca.renewed(old, grown_old)
        assert both[1:] == old
        assert ca.signer(both, grown_old) == old[0]
        assert ca.signer(both, grown_old + ca.SIGNS_AFTER + timedelta(days=1)) == both[0]
        assert ca.bundle(both).count("BEGIN CERTIFICATE") == 2

    def test_expired_authority_leaves_the_bundle(self) -> None:
        old = ca.renewed((), NOW)
        both = ca.renewed(old, NOW + 7 * YEAR)
        assert ca.renewed(both, NOW + 10 * YEAR) == both[:1]

    def test_serving_certificate_is_renewed_with_a_third_left(self) -> None:
        authority = ca.make_authority(NOW)
        serving_pair = ca.make_serving(authority, NOW)
        assert not ca.needs_renewal(serving_pair, NOW + timedelta(days=59))
        assert ca.needs_renewal(serving_pair, NOW + timedelta(days=61))


class TestKeyring:
    def test_is_made_once_and_then_kept(self) -> None:
        store = MemoryStore()
        made = asyncio.run(ensure(store, NOW))
        assert asyncio.run(ensure(store, NOW + timedelta(days=1))) == made
        assert store.writes == 1

    def test_two_replicas_that_start_together_end_with_one(self) -> None:
        first = renewed(None, NOW)
        assert asyncio.run(ensure(MemoryStore(rival=first), NOW)) == first

    @pytest.mark.parametrize("data", [{}, {"keyring.json": "bm8="}, {"keyring.json": "e30="}])
    def test_secret_that_holds_something_else_is_not_written_over(self, data: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="restore it, or delete it"):
            Keyring.from_secret(data)


class TestRotation:
    def test_serving_certificate_changes_without_a_restart(self, tmp_path: Path) -> None:
        with serving() as service:
            settings = settings_for(service, tmp_path)
            before = served_certificate(settings.address)
            other = renewed(None, datetime.now(UTC))
            with FleetClient(settings) as kept, FleetClient(settings) as fresh:
                kept.send([report(sequence=0)])
                service.use(Keyring(other.authorities, service.fleet.keyring.token_keys))
                kept.send([report(sequence=1)])
                assert served_certificate(settings.address) != before
                with pytest.raises(Unauthorized, match="not from our CA"):
                    fresh.send([report(sequence=2)])
                settings.ca_file.write_text(service.fleet.ca_bundle())
                fresh.send([report(sequence=3)])

    def test_bundle_of_old_and_new_is_verified_on_either_side_of_the_change(self, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        old = renewed(None, now - 7 * YEAR)
        both = renewed(old, now)
        assert len(both.authorities) == 2
        with serving(both) as service:
            settings = settings_for(service, tmp_path)
            with FleetClient(settings) as client:
                client.send([report(sequence=0)])
            service.use(Keyring(both.authorities[:1], both.token_keys))
            with FleetClient(settings) as client:
                client.send([report(sequence=1)])

    def test_expired_authority_is_refused_by_clients(self, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        expired = ca.make_authority(now - timedelta(days=30), life=timedelta(days=10))
        with (
            serving(Keyring((expired,), (make_key(),))) as service,
            FleetClient(settings_for(service, tmp_path)) as client,
            pytest.raises(Unauthorized, match="expired"),
        ):
            client.send([report()])

    def test_clock_that_is_hours_late_still_verifies(self) -> None:
        made = ca.make_authority(datetime.now(UTC))
        assert made.parsed.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)
