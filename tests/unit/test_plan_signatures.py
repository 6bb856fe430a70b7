"""Plans are signed by the operator; by that, and nothing else, a worker goes that gets one from another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from edgetrain.fleet_client import FleetClient
from edgetrain.supervisor.passed_plans import checked
from edgetrain.supervisor.signatures import is_signed
from edgetrain.supervisor.wire import Passed
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.keyring import Keyring, renewed
from edgetrain_operator.fleet.plans import PlanBoard
from edgetrain_operator.fleet.service import FleetService
from edgetrain_protocol.identity import CERTIFICATE, KEY
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.signed_plan import SignedPlan, signed_content
from tests.support.fleet import JOB, Lease, plan, served, serving, settings_for
from tests.support.identities import credentials, keyring, sign, signature_of, stranger, write_identity

NOW = datetime.now(UTC)


def trusts(served: SignedPlan, authorities: str) -> bool:
    return is_signed(signed_content(served.text), served.signature, authorities)


def polled(service: FleetService, directory: Path, worker: str = "w-a") -> SignedPlan:
    with FleetClient(settings_for(service, directory / worker, worker)) as client:
        served = client.poll_plan(0, 0, wait=0)
    assert served
    return served


class TestServed:
    def test_each_group_gets_its_own_slice_signed(self, tmp_path: Path) -> None:
        with serving() as service:
            service.fleet.publish(JOB, plan(1, groups=(("w-a",), ("w-b",))))
            one, other = (polled(service, tmp_path, worker) for worker in ("w-a", "w-b"))
            left_out = polled(service, tmp_path, "w-c")
            bundle = service.fleet.ca_bundle()
        assert one.plan.groups != other.plan.groups
        for signed in (one, other, left_out):
            assert trusts(signed, bundle)
            assert not trusts(signed, ca.bundle(stranger().authorities))
        assert not trusts(SignedPlan(text=one.text, signature=other.signature), bundle)

    def test_a_standby_passes_the_signature_on(self, tmp_path: Path) -> None:
        lease = Lease(leading=False)
        with serving(keyring()) as leader, serving(keyring(), lease) as standby:
            lease.address = f"127.0.0.1:{leader.port}"
            leader.fleet.publish(JOB, plan(1))
            assert trusts(polled(standby, tmp_path), leader.fleet.ca_bundle())

    def test_a_worker_of_a_version_that_knows_no_signatures_reads_its_plan(self, tmp_path: Path) -> None:
        with serving() as service, FleetClient(settings_for(service, tmp_path)) as client:
            service.fleet.publish(JOB, plan(3))
            body = client._kept("GET", f"/v1/jobs/{JOB}/plan?wait=0", None, 5).body
        assert Plan.from_wire(body) == served(3)

    def test_a_plan_is_signed_once_for_all_who_poll(self) -> None:
        signed: list[str] = []

        def signature(text: str) -> str:
            signed.append(text)
            return str(len(signed))

        board = PlanBoard(signature)
        board.publish(JOB, plan(1, groups=(("w-a", "w-b"), ("w-c",))))
        for _ in range(3):
            served = [board.newer_than(JOB, worker, 0, 0) for worker in ("w-a", "w-b", "w-c")]
            assert [s and s.signature for s in served] == ["1", "1", "2"]
        board.publish(JOB, plan(2))
        assert board.newer_than(JOB, "w-a", 0, 0) and len(signed) == 3

    def test_what_is_served_is_signed_anew_by_who_signs_from_now_on(self, tmp_path: Path) -> None:
        with serving() as service:
            service.fleet.publish(JOB, plan(1))
            before, old = polled(service, tmp_path), service.fleet.ca_bundle()
            service.use(Keyring(stranger().authorities, service.fleet.keyring.token_keys))
            after, new = polled(service, tmp_path), service.fleet.ca_bundle()
        assert after.text == before.text
        assert [trusts(s, b) for s in (before, after) for b in (old, new)] == [True, False, False, True]

    def test_an_authority_that_not_all_have_met_signs_nothing_yet(self, tmp_path: Path) -> None:
        grown_old = renewed(None, NOW - timedelta(days=2600))
        both = renewed(grown_old, NOW)
        with serving(both) as service:
            service.fleet.publish(JOB, plan(1))
            assert trusts(polled(service, tmp_path), ca.bundle(grown_old.authorities))


def by_nobody(text: str, folder: Path) -> str:
    return ""


def by_another_operator(text: str, folder: Path) -> str:
    return signature_of(text, stranger())


def by_a_pod(text: str, folder: Path) -> str:
    """Whose certificate an authority has signed, as it has no plan."""
    identity = write_identity(folder / "insider", "w-x", job=JOB)
    pair = ca.KeyPair((identity / CERTIFICATE).read_text(), (identity / KEY).read_text())
    return ca.sign(pair, signed_content(text))


def of_the_text_alone(text: str, folder: Path) -> str:
    return ca.sign(keyring().authorities[0], text.encode())


def of_another_plan(text: str, folder: Path) -> str:
    return sign(served(1)).signature


def garbage(text: str, folder: Path) -> str:
    return "not base64 \udcff"


class TestPassedOn:
    @pytest.mark.parametrize(
        "made", [by_nobody, by_another_operator, by_a_pod, of_the_text_alone, of_another_plan, garbage]
    )
    def test_what_the_operator_has_not_signed_is_refused(
        self, made: Callable[[str, Path], str], tmp_path: Path
    ) -> None:
        text, ours = sign(served(9)).text, credentials(tmp_path, "w-a", job=JOB)
        with pytest.raises(ValueError, match="authorities"):
            checked(Passed(text, made(text, tmp_path)), ours)
        assert checked(Passed(text, signature_of(text)), ours).plan == served(9)

    def test_of_another_job_it_is_refused(self, tmp_path: Path) -> None:
        signed = sign(served(9).model_copy(update={"job_uid": "another"}))
        with pytest.raises(ValueError, match="of job another, which is not ours"):
            checked(Passed(signed.text, signed.signature), credentials(tmp_path, "w-a", job=JOB))

    def test_text_that_cannot_be_sent_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="surrogates"):
            checked(Passed('{"jobUid": "\ud800"}', "AAAA"), credentials(tmp_path, "w-a", job=JOB))

    def test_what_a_newer_operator_adds_travels_under_its_signature(self, tmp_path: Path) -> None:
        text = sign(served(9)).text.replace('"revision":9', '"revision":9,"colour":"blue"')
        kept = checked(Passed(text, signature_of(text)), credentials(tmp_path, "w-a", job=JOB))
        assert kept.plan == served(9)
        again = SignedPlan.from_wire(kept.model_dump_json())
        assert checked(Passed(again.text, again.signature), credentials(tmp_path, "w-b", job=JOB)) == kept

    def test_authorities_come_and_go_while_a_pod_runs(self, tmp_path: Path) -> None:
        ours, new = credentials(tmp_path, "w-a", job=JOB), stranger()
        bundle = tmp_path / f"{JOB}-w-a" / "authorities.crt"
        by_new, by_old = sign(served(9), new), sign(served(8))
        with pytest.raises(ValueError, match="authorities"):
            checked(Passed(by_new.text, by_new.signature), ours)
        bundle.write_text(ca.bundle([*new.authorities, *keyring().authorities]))
        for signed in (by_new, by_old):
            assert checked(Passed(signed.text, signed.signature), ours) == signed
        # The keyring was lost: who was made under it and who comes after it believe both.
        bundle.write_text(ca.bundle(new.authorities))
        for signed in (by_new, by_old):
            assert checked(Passed(signed.text, signed.signature), ours) == signed

    def test_a_bundle_may_hold_what_others_issue(self) -> None:
        others = foreign_certificate() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        assert trusts(sign(served(9)), others + ca.bundle(keyring().authorities))
        assert not trusts(sign(served(9)), others)


def foreign_certificate() -> str:
    """With a key of another kind."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another CA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
