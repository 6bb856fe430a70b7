"""Four workers, each a group by itself, train one model in rounds, also without the one that leads them."""

from collections.abc import Iterator
from functools import partial

import pytest

from benchmarks.bed import Bed
from benchmarks.faults import delete_pods
from benchmarks.waiting import wait_for
from edgelab.demo.install import make_namespace, upgrade_operator
from edgelab.lab import Lab
from edgetrain_protocol.status import ConditionType

pytestmark = pytest.mark.lab

NODES = ["edge-1", "edge-2", "edge-3", "edge-4"]
SAMPLES, EPOCHS = 2000, 60


@pytest.fixture
def job(lab: Lab, operator: str) -> Iterator[Bed]:
    make_namespace(lab, "rounds")
    upgrade_operator(lab, "--set", "featureGates.grouping=true")
    bed = Bed(lab, NODES, namespace="rounds")
    work = ["--samples", str(SAMPLES), "--epochs", str(EPOCHS), "--sample-seconds", "0.001"]
    bed.train(*work, strategy={"grouping": "single", "localSteps": 8})
    yield bed
    bed.end()
    lab.kubectl("delete", "namespace", "rounds", "--wait=false")
    upgrade_operator(lab, "--set", "featureGates.grouping=false")


def reached(job: Bed, version: int) -> bool:
    return job.status().progress.version >= version


def lead(job: Bed) -> str:
    """Its node, once three hold the log."""
    rounds = job.status().rounds
    return rounds.lead if rounds and len(rounds.holders) == 3 else ""


def is_complete(job: Bed) -> bool:
    found = {condition.type: condition.status for condition in job.status().conditions}
    return found.get(ConditionType.COMPLETE) == "True"


def test_the_lead_is_lost_and_all_data_are_merged_all_the_same(job: Bed) -> None:
    first = wait_for(partial(lead, job), 90, "three holders and a lead")
    wait_for(partial(reached, job, 3), 60, "a third version")
    before = job.status().progress.version
    delete_pods(job, [first])
    wait_for(partial(reached, job, before + 3), 60, "versions after the lead was lost")
    assert job.events("LeadChanged") and first in " ".join(job.events("HolderLost"))
    wait_for(partial(is_complete, job), 240, lambda: str(job.status()))
    progress = job.status().progress
    assert (progress.merged_samples, progress.percent) == (SAMPLES * EPOCHS, 100)
