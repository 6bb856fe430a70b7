"""Who leads, by a Lease that people can edit, on a real API server."""

import json
import threading
from dataclasses import replace

import pytest

from benchmarks.waiting import wait_for
from edgetrain_operator.kube.client import Credentials, Kube
from edgetrain_operator.runtime import lease
from edgetrain_operator.runtime.lease import LeaderElection, Times
from tests.support.apiserver import ApiServer

TIMES = Times(duration=2.0, deadline=1.5, retry=0.3, request=1.0)
ALIEN = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "operator"},
    "spec": {"holderIdentity": "gone/0/10.0.0.1:8443", "leaseDurationSeconds": 2**31 - 1},
}


def candidate(api: ApiServer, namespace: str, leads: threading.Event, times: Times = TIMES) -> LeaderElection:
    return LeaderElection(
        lambda: Kube.connect(Credentials(str(api.kubeconfig))),
        namespace=namespace,
        name="operator",
        identity="me",
        address="10.0.0.2:8443",
        on_lead=leads.set,
        on_lost=lambda: None,
        times=times,
    )


@pytest.mark.attack(23)
def test_a_lease_is_not_believed_for_as_long_as_somebody_wrote_into_it(
    api: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LONGEST_SECONDS", 2.0)
    api.apply({**ALIEN, "metadata": {"name": "operator", "namespace": namespace}})
    leads = threading.Event()
    election = candidate(api, namespace, leads)
    election.start()
    try:
        assert leads.wait(15)
        assert election.leads()
    finally:
        election.stop()


def test_whoever_edits_a_lease_does_not_renew_it(api: ApiServer, namespace: str) -> None:
    spec = {**ALIEN["spec"], "leaseDurationSeconds": 2}  # type: ignore[dict-item]
    api.apply({**ALIEN, "metadata": {"name": "operator", "namespace": namespace}, "spec": spec})
    leads = threading.Event()
    election = candidate(api, namespace, leads)
    election.start()
    edits = iter(range(1000))

    def edited() -> bool:
        patch = {"metadata": {"labels": {"edit": str(next(edits))}}}
        where = ("lease", "operator", "-n", namespace)
        api.kubectl("patch", *where, "--type=merge", "-p", json.dumps(patch))
        return leads.is_set()

    try:
        wait_for(edited, 15, "it to lead", every=0.2)
    finally:
        election.stop()


def test_the_end_of_anothers_lease_is_not_slept_past(api: ApiServer, namespace: str) -> None:
    spec = {**ALIEN["spec"], "leaseDurationSeconds": 2}  # type: ignore[dict-item]
    api.apply({**ALIEN, "metadata": {"name": "operator", "namespace": namespace}, "spec": spec})
    leads = threading.Event()
    election = candidate(api, namespace, leads, replace(TIMES, retry=60.0))
    election.start()
    try:
        assert leads.wait(10)
    finally:
        election.stop()


def test_another_leads_within_ten_seconds_and_never_before_the_first_has_ended() -> None:
    times = Times()
    assert times.deadline + times.request <= times.duration
    assert times.duration == round(times.duration), "as it is written into a Lease"
    assert times.duration + times.retry < 9.5
