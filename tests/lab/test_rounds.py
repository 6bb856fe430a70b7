"""Four workers, each a group by itself, train one model in rounds, also without the one that leads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from benchmarks.bed import Bed
from benchmarks.faults import delete_pods
from benchmarks.waiting import wait_for
from edgelab.demo.install import make_namespace, upgrade_operator
from edgelab.lab import Lab
from edgetrain_protocol.status import ConditionType
from tests.support.pods import suspend

pytestmark = pytest.mark.lab

NODES = ["edge-1", "edge-2", "edge-3", "edge-4"]
SAMPLES, EPOCHS = 2000, 120
LONGER = 180


@pytest.fixture(scope="module")
def rounds(lab: Lab, operator: str) -> Iterator[None]:
    """A namespace for them, behind their gate."""
    make_namespace(lab, "rounds")
    upgrade_operator(lab, "--set", "featureGates.grouping=true")
    yield
    lab.kubectl("delete", "namespace", "rounds", "--wait=false")
    upgrade_operator(lab, "--set", "featureGates.grouping=false")


@contextmanager
def job(lab: Lab, epochs: int = EPOCHS, **spec: Any) -> Iterator[Bed]:
    """All train; links and nodes are whole again afterwards."""
    bed = Bed(lab, NODES, namespace="rounds")
    work = ["--samples", str(SAMPLES), "--epochs", str(epochs), "--sample-seconds", "0.001"]
    bed.train(*work, strategy={"grouping": "single", "localSteps": 8}, **spec)
    try:
        yield bed
    finally:
        lab.heal()
        for node in NODES:
            lab.link(node, "10gbit")
        bed.end()


def reached(bed: Bed, version: int) -> bool:
    return bed.status().progress.version >= version


def lead(bed: Bed) -> str:
    """Its node, once three hold the log."""
    found = bed.status().rounds
    return found.lead if found and len(found.holders) == 3 else ""


def is_complete(bed: Bed) -> bool:
    found = {condition.type: condition.status for condition in bed.status().conditions}
    return found.get(ConditionType.COMPLETE) == "True"


def complete(bed: Bed, epochs: int = EPOCHS) -> None:
    wait_for(partial(is_complete, bed), 240, lambda: str(bed.status()))
    progress = bed.status().progress
    assert (progress.merged_samples, progress.percent) == (SAMPLES * epochs, 100)


def test_the_lead_is_lost_and_all_data_are_merged_all_the_same(lab: Lab, rounds: None) -> None:
    with job(lab) as bed:
        first = wait_for(partial(lead, bed), 90, "three holders and a lead")
        wait_for(partial(reached, bed, 3), 60, "a third version")
        before = bed.status().progress.version
        delete_pods(bed, [first])
        wait_for(partial(reached, bed, before + 3), 60, "versions after the lead was lost")
        assert bed.events("LeadChanged") and first in " ".join(bed.events("HolderLost"))
        complete(bed)


def test_a_log_on_claims_outlives_all_pods_and_a_suspension(lab: Lab, rounds: None) -> None:
    with job(lab, storage={"checkpoint": {"claim": {"size": "64Mi"}}}) as bed:
        wait_for(partial(lead, bed), 90, "three holders and a lead")
        wait_for(partial(reached, bed, 3), 60, "a third version")
        delete_pods(bed, NODES)
        before = bed.status().progress.version
        wait_for(partial(reached, bed, before + 3), 90, lambda: str(bed.status()))
        suspend(lab, bed.namespace, bed.job, True)
        wait_for(lambda: not bed.all_pods(), 90, "no pod to be left")
        before = bed.status().progress.version
        suspend(lab, bed.namespace, bed.job, False)
        wait_for(partial(reached, bed, before + 3), 120, lambda: str(bed.status()))
        assert not bed.events("HolderLost"), (bed.events("HolderLost"), bed.events("HoldersNamed"))
        complete(bed)


def test_a_node_that_nobody_can_call_holds_nothing_and_takes_part(lab: Lab, rounds: None) -> None:
    """Behind NAT, with the best link of all."""
    for node in NODES[1:]:
        lab.link(node, "50mbit")
    lab.cut(NODES[0], way="in", only="calls")
    with job(lab, LONGER) as bed:

        def holders() -> list[str]:
            found = bed.status().rounds
            return found.holders if found and len(found.holders) == 3 else []

        named = wait_for(holders, 120, lambda: str(bed.status()))
        assert set(named) == set(NODES[1:])
        wait_for(partial(reached, bed, 6), 90, lambda: str(bed.status()))
        rounds_now = bed.status().rounds
        assert rounds_now and rounds_now.groups == len(NODES)
