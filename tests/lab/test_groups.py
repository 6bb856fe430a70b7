"""Two sites of two as groups of one job: each goes on by itself, and a node that is moved changes groups."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from benchmarks.audit import Audit, audit
from benchmarks.bed import Bed
from benchmarks.steps import Step, gaps
from benchmarks.waiting import wait_for
from edgelab.demo.install import make_namespace, upgrade_operator
from edgelab.lab import Lab
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.status import GroupStatus

pytestmark = pytest.mark.lab

SITES = {"edge-1": "north", "edge-2": "north", "edge-3": "south", "edge-4": "south"}
NORTH, SOUTH = ("edge-1", "edge-2"), ("edge-3", "edge-4")
SAMPLES = 2000


@pytest.fixture(scope="module")
def job(lab: Lab, operator: str) -> Iterator[Bed]:
    make_namespace(lab, "groups")
    upgrade_operator(lab, "--set", "featureGates.grouping=true")
    before = {node: site_of(lab, node) for node in SITES}
    for node, site in SITES.items():
        move(lab, node, site)
    bed = Bed(lab, list(SITES), namespace="groups")
    storage = {"checkpoint": {"claim": {"size": "64Mi"}}}
    strategy = {"grouping": "site", "checkpointEverySeconds": 2}
    bed.train("--samples", str(SAMPLES), "--epochs", "100000", storage=storage, strategy=strategy)
    yield bed
    bed.end()
    lab.kubectl("delete", "namespace", "groups", "--wait=false")
    for node, site in before.items():
        move(lab, node, site)
    upgrade_operator(lab, "--set", "featureGates.grouping=false")


def site_of(lab: Lab, node: str) -> str:
    key = SITE_LABEL.replace(".", r"\.")
    return lab.kubectl("get", "node", node, "-o", f"jsonpath={{.metadata.labels.{key}}}").strip()


def move(lab: Lab, node: str, site: str) -> None:
    lab.kubectl("label", "node", node, f"{SITE_LABEL}={site}" if site else f"{SITE_LABEL}-", "--overwrite")


def group(job: Bed, name: str) -> GroupStatus:
    return next(group for group in job.status().groups if group.name == name)


def lines(job: Bed, nodes: Sequence[str], name: str) -> list[Step]:
    return [step for step in job.journal.read() if step.node in nodes and step.history.group == name]


def audited(job: Bed, nodes: Sequence[str], name: str) -> Audit:
    return audit(lines(job, nodes, name), SAMPLES // 2)


def two_epochs(job: Bed, nodes: Sequence[str], name: str) -> bool:
    return max((s.epoch for s in lines(job, nodes, name)), default=0) > 1


def test_each_trains_on_its_own_half_of_each_epoch(job: Bed) -> None:
    for name, nodes in (("north", NORTH), ("south", SOUTH)):
        wait_for(partial(two_epochs, job, nodes, name), 60, "two epochs")
        assert group(job, name).members == 2
        found = audited(job, nodes, name)
        assert found.steps > 0 and found.harm == 0, found
    first = {s.indices for s in lines(job, NORTH, "north") if s.epoch == 0}
    other = {s.indices for s in lines(job, SOUTH, "south") if s.epoch == 0}
    seen, others = ({i for indices in of for i in indices} for of in (first, other))
    assert not seen & others and len(seen | others) == SAMPLES
    assert job.status().aggregator.count("edge-") == 2


def test_one_that_loses_all_its_programs_begins_anew_and_the_other_goes_on(job: Bed) -> None:
    generation, began = group(job, "north").generation, time.time()
    for node in NORTH:
        job.signal_program(node)

    def anew() -> bool:
        later = (s for s in lines(job, NORTH, "north") if s.at > began)
        return any(s.history.generation > generation for s in later)

    wait_for(anew, 60, "north to train again")
    assert group(job, "south").generation == 1
    assert max(gaps(lines(job, SOUTH, "south"), began, time.time())) < 5
    assert "group north" in job.events("NewGeneration")[-1]
    for name, nodes in (("north", NORTH), ("south", SOUTH)):
        assert nothing_wrong(audited(job, nodes, name))


def nothing_wrong(found: Audit) -> bool:
    """Beside the steps that a new generation went back, which are counted."""
    return found.steps > 0 and not (found.lost or found.forked)


def test_a_node_that_is_moved_trains_with_the_others_of_its_site(job: Bed) -> None:
    """Its pod stays, its program starts anew; whom it leaves goes on alone, in the same history."""
    generation, pods = group(job, "north").generation, job.pod_uids()
    move(job.lab, "edge-2", "south")
    try:
        wait_for(lambda: lines(job, ["edge-2"], "south"), 60, "edge-2 to train with the others")
        assert (group(job, "north").members, group(job, "south").members) == (1, 3)
        assert group(job, "north").generation == generation
    finally:
        move(job.lab, "edge-2", "north")
    moved = time.time()
    wait_for(lambda: any(s.at > moved for s in lines(job, ["edge-2"], "north")), 60, "edge-2 to be back")
    assert job.pod_uids() == pods
    for name in ("north", "south"):
        assert nothing_wrong(audited(job, list(SITES), name))
