"""The demos' acts wait for one another, and say that something was overcome once it was."""

import pytest

from edgelab.demo import acts, sites
from edgelab.demo.script import Script
from edgelab.demo.showings import ONE_GROUP, SITES, Showing
from edgetrain_protocol.status import JobProgress, JobStatus, RoundsStatus


def at(version: int, lead: str = "edge-1", holders: int = 3) -> JobStatus:
    names = [f"edge-{n + 1}" for n in range(holders)]
    return JobStatus(
        progress=JobProgress(version=version), rounds=RoundsStatus(lead=lead, holders=names, groups=3)
    )


def test_a_lead_is_lost_and_overcome_once_another_has_made_versions() -> None:
    script = Script(sites.ACTS)
    assert script.advance(at(9, holders=1)) is None, "with it the log would be lost"
    assert script.advance(at(4)) == (sites.LEAD_LOST, "edge-1")
    assert script.advance(at(5)) is None, "one thing at a time"
    assert script.settled(at(20)) is None, "it leads still"
    assert script.settled(at(6, lead="edge-2")) is None
    assert script.settled(at(7, lead="edge-2")) == "another leads, and versions go on without edge-1"
    assert script.advance(at(7, lead="edge-2")) == (sites.LEAD_BACK, "")
    assert script.unfinished == ("back on", "site cut off", "site back")


@pytest.mark.parametrize("showing", [ONE_GROUP, SITES])
def test_each_act_can_be_performed(showing: Showing) -> None:
    assert set(showing.perform) == {act.name for act in showing.acts}
    assert showing.manifest.exists() and showing.nodes.exists()


def test_a_choke_is_overcome_by_another_aggregator_alone() -> None:
    assert not acts.CHOKE.overcome(JobStatus(), "edge-1", JobStatus())
