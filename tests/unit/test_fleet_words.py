"""What one worker's word is worth, and a token whose job is gone."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgetrain.fleet_client import FleetClient, Refused, Unauthorized, Unavailable
from edgetrain_operator.fleet.store import REVISIONS_AHEAD
from edgetrain_protocol.report import TrainerState, TrainingPart
from tests.support.fleet import JOB, report, serving, settings_for


@pytest.mark.attack(6)
def test_one_worker_s_word_moves_the_revision_by_little(tmp_path: Path) -> None:
    with serving() as service:
        for worker, held in (("w-a", 10**12), ("w-b", 56), ("w-c", 57)):
            holding = TrainingPart(state=TrainerState.TRAINING, incarnation="i1", revision_held=held)
            with FleetClient(settings_for(service, tmp_path / worker, worker)) as client:
                client.send([report(worker, training=holding)])
        assert service.fleet.highest_revision(JOB) == 57 + REVISIONS_AHEAD


@pytest.mark.attack(8)
def test_a_token_outlives_its_job_and_says_nothing_then(tmp_path: Path) -> None:
    with (
        serving() as service,
        FleetClient(settings_for(service, tmp_path, job="deleted-long-since")) as client,
    ):
        with pytest.raises(Unavailable, match="knows of no job"):
            client.send([report()])
        with pytest.raises(Unavailable, match="knows of no job"):
            client.poll_plan(0, 0, wait=0)
        assert "deleted-long-since" not in service.fleet.known_jobs()


@pytest.mark.attack(10)
@pytest.mark.parametrize(("worker", "pod_uid"), [("w-b", "pod-w-b"), ("w-a", "another")])
def test_no_pod_speaks_for_another(tmp_path: Path, worker: str, pod_uid: str) -> None:
    with serving() as service:
        other = replace(settings_for(service, tmp_path), worker=worker, pod_uid=pod_uid)
        with FleetClient(other) as client, pytest.raises(Unauthorized, match=f"of {worker}'s pod {pod_uid}"):
            client.send([report(worker)])


@pytest.mark.parametrize("wait", ["nan", "inf"])
def test_a_wait_that_is_no_number_is_refused(wait: str, tmp_path: Path) -> None:
    """It would never be over, and never begin."""
    with (
        serving() as service,
        FleetClient(settings_for(service, tmp_path)) as client,
        pytest.raises(Refused),
    ):
        client._ask("GET", f"{client._plan_path}?wait={wait}", None, 5.0)
