"""Two sites of two train one model in rounds: what befalls one is nothing to the other, and a node that is
moved changes groups."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from benchmarks.audit import Audit, audit, samples_of
from benchmarks.bed import Bed
from benchmarks.steps import Step, by_step, gaps
from benchmarks.waiting import wait_for
from edgelab.demo.install import make_namespace, upgrade_operator
from edgelab.lab import Lab
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.status import GroupStatus

pytestmark = pytest.mark.lab

SITES = {"edge-1": "north", "edge-2": "north", "edge-3": "south", "edge-4": "south"}
NORTH, SOUTH = ("edge-1", "edge-2"), ("edge-3", "edge-4")
SAMPLES = 2000
WAITED_FOR_SECONDS = 10.0
"""A site that falls silent is waited for once, until it is not heard any more; its data run out meanwhile."""


@pytest.fixture(scope="module")
def job(lab: Lab, operator: str) -> Iterator[Bed]:
    make_namespace(lab, "groups")
    upgrade_operator(lab, "--set", "featureGates.grouping=true")
    before = {node: site_of(lab, node) for node in SITES}
    for node, site in SITES.items():
        move(lab, node, site)
    bed = Bed(lab, list(SITES), namespace="groups")
    storage = {"checkpoint": {"claim": {"size": "64Mi"}}}
    strategy = {"grouping": "site", "localSteps": 4, "checkpointEverySeconds": 2}
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
    return audit(lines(job, nodes, name), SAMPLES)


def merged(job: Bed, epochs: int) -> bool:
    return job.status().progress.merged_samples >= epochs * SAMPLES


def sites_of_holders(job: Bed) -> set[str]:
    rounds = job.status().rounds
    return {SITES[node] for node in rounds.holders} if rounds else set()


def version(job: Bed) -> int:
    return job.status().progress.version


def test_both_train_one_model_and_have_different_samples(job: Bed) -> None:
    wait_for(partial(merged, job, 2), 90, lambda: str(job.status()))
    for name in SITES.values():
        assert group(job, name).members == 2
    merged_epochs = job.status().progress.merged_samples // SAMPLES
    of_sites = [lines(job, nodes, name) for name, nodes in (("north", NORTH), ("south", SOUTH))]
    first, other = (Counter(i for step in by_step(of).values() for i in samples_of(step)) for of in of_sites)
    # Each is done once an epoch, by either: all of those that are merged, and none beyond those that have
    # begun; a batch counts for the epoch that it begins in, and may reach into the next one.
    begun = 2 + max(step.epoch for of in of_sites for step in of)
    times = [first[i] + other[i] for i in range(SAMPLES)]
    assert first and other and merged_epochs <= min(times) and max(times) <= begun
    assert job.status().aggregator.count("edge-") == 2
    # Of the others those are named that links, once they are measured, call for.
    wait_for(lambda: sites_of_holders(job) == {"north", "south"}, 90, lambda: str(job.status().rounds))


def test_one_that_loses_all_its_programs_begins_anew_and_the_other_goes_on(job: Bed) -> None:
    generation, began = group(job, "north").generation, time.time()
    for node in NORTH:
        job.signal_program(node)

    def anew() -> bool:
        later = (s for s in lines(job, NORTH, "north") if s.at > began)
        return any(s.history.generation > generation for s in later)

    wait_for(anew, 60, "north to train again")
    assert group(job, "south").generation == 1
    assert max(gaps(lines(job, SOUTH, "south"), began, time.time())) < WAITED_FOR_SECONDS
    assert "group north" in job.events("NewGeneration")[-1]
    for name, nodes in (("north", NORTH), ("south", SOUTH)):
        assert nothing_wrong(audited(job, nodes, name))
    before = version(job)
    wait_for(lambda: version(job) > before + 2, 30, "versions of both")


def nothing_wrong(found: Audit) -> bool:
    """Numbers that nobody has written down are of steps that merge."""
    return found.steps > 0 and not found.forked


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
