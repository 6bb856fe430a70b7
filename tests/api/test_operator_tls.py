"""The operator's process with each kind of certificate, and after an upgrade: nothing needs a restart."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain_operator.check import wait_until_working
from edgetrain_operator.core.naming import ca_config_map_name
from edgetrain_operator.fleet import ca
from tests.support.apiserver import ApiServer
from tests.support.fleet import served_certificate
from tests.support.mounted import Mounted
from tests.support.objects import drop_nodes, get, items, job, make_node, program
from tests.support.operator_process import OperatorProcess, operator_process


@pytest.fixture
def authority() -> ca.KeyPair:
    return ca.make_authority(datetime.now(UTC))


@pytest.fixture
def mounted(tmp_path: Path, authority: ca.KeyPair) -> Mounted:
    mounted = Mounted(tmp_path / "tls")
    mounted.turn_to(ca.make_serving(authority, datetime.now(UTC)), authority.certificate)
    return mounted


def served(operator: OperatorProcess) -> str:
    return served_certificate(f"127.0.0.1:{operator.fleet_port}")


def test_own_ca_is_shown_for_who_checks(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    with operator_process(api, namespace, tmp_path) as operator:
        wait_for(operator.leads)
        shown = get(api, "secret", "edgetrain-operator-keyring", namespace)["data"]["ca.crt"]
        (tmp_path / "ca.crt").write_bytes(base64.b64decode(shown))
        wait_until_working("127.0.0.1", operator.fleet_port, tmp_path / "ca.crt")


def test_renewed_certificate_is_served_by_the_same_process(
    api: ApiServer, namespace: str, tmp_path: Path, mounted: Mounted, authority: ca.KeyPair
) -> None:
    with operator_process(api, namespace, tmp_path, TLS_DIR=str(mounted.directory)) as operator:
        wait_for(operator.leads)
        renewal = ca.make_serving(authority, datetime.now(UTC))
        assert served(operator) != renewal.certificate
        mounted.turn_to(renewal, authority.certificate)
        wait_for(lambda: served(operator) == renewal.certificate, seconds=20)
        (tmp_path / "ca.crt").write_text(authority.certificate)
        wait_until_working("127.0.0.1", operator.fleet_port, tmp_path / "ca.crt")
        assert operator.process.poll() is None and operator.leads()


def test_new_authority_reaches_the_jobs_before_it_is_used(
    api: ApiServer, namespace: str, tmp_path: Path, mounted: Mounted, authority: ca.KeyPair
) -> None:
    program(api, namespace, "main.py")
    api.apply(job(namespace))
    name = ca_config_map_name("digits", get(api, "etj", "digits", namespace)["metadata"]["uid"])

    def bundle() -> str:
        held = [c for c in items(api, "configmaps", namespace) if c["metadata"]["name"] == name]
        return held[0]["data"]["ca.crt"] if held else ""

    # Nobody reports here, so the job is reconciled by the sweep alone.
    env = {"TLS_DIR": str(mounted.directory), "RESYNC_SECONDS": "2"}
    with operator_process(api, namespace, tmp_path, **env) as operator:
        wait_for(lambda: authority.certificate in bundle())
        before = served(operator)
        other = ca.make_authority(datetime.now(UTC))
        mounted.turn_to(ca.make_serving(other, datetime.now(UTC)), other.certificate)
        wait_for(lambda: other.certificate in bundle(), seconds=20)
        assert authority.certificate in bundle()
        assert served(operator) == before


def test_certificate_that_workers_would_refuse_is_named(
    api: ApiServer, namespace: str, tmp_path: Path, mounted: Mounted
) -> None:
    one, other = (ca.make_authority(datetime.now(UTC)) for _ in range(2))
    mounted.turn_to(ca.make_serving(one, datetime.now(UTC)), other.certificate)
    with (
        pytest.raises(AssertionError, match=r"the certificate in .*/tls cannot be used"),
        operator_process(api, namespace, tmp_path, TLS_DIR=str(mounted.directory)),
    ):
        pass


def test_pods_outlive_an_upgrade_of_everything_they_were_made_with(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    drop_nodes(api)
    program(api, namespace, "main.py")
    for node in ("edge-a", "edge-b"):
        make_node(api, node)
    api.apply(job(namespace))

    def uids() -> set[str]:
        return {
            p["metadata"]["uid"]
            for p in items(api, "pods", namespace)
            if "deletionTimestamp" not in p["metadata"]
        }

    with operator_process(api, namespace, tmp_path) as before:
        made = wait_for(lambda: found if len(found := uids()) == 2 else None)
        assert before.terminate() == 0
    others = {"TRAINER_IMAGE": "registry.example/edgetrain:next", "PULL_POLICY": "Always"}
    with operator_process(api, namespace, tmp_path, FLEET_ADDRESS="198.51.100.7:30443", **others) as after:
        wait_for(after.leads)
        make_node(api, "edge-c")
        grown = wait_for(lambda: found if len(found := uids()) == 3 else None)
        assert made < grown
        images = {
            p["metadata"]["uid"]: p["spec"]["containers"][0]["image"] for p in items(api, "pods", namespace)
        }
        assert {images[uid] for uid in made} == {"registry.example/edgetrain:test"}
        assert {images[uid] for uid in grown - made} == {others["TRAINER_IMAGE"]}
    drop_nodes(api)
