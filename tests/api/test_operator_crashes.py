"""A job's whole story with operators that die, are overtaken or meet faults on the way: the benchmark
`crash` does so at each call.
"""

import asyncio
from typing import Any

import pytest

from edgetrain_operator.kube.client import Credentials
from tests.support.apiserver import ApiServer
from tests.support.job_state import differences
from tests.support.job_story import Lived, Story
from tests.support.replicas import FailingKube
from tests.support.struck import CRASHES, FAULTS, Strike


def lived(api: ApiServer, strike: Strike, overtaken: bool = False, **how: Any) -> Lived:
    async def story() -> Lived:
        kube = await FailingKube.connect(Credentials(str(api.kubeconfig)))
        assert isinstance(kube, FailingKube)
        try:
            told = Story(kube, strike, **how)
            strike.fault = told.overtaken if overtaken else strike.fault
            return await told.live()
        finally:
            await kube.close()

    return asyncio.run(story())


@pytest.fixture(scope="module")
def usual(api: ApiServer) -> Lived:
    return lived(api, Strike())


def ends_as_usual(found: Lived, usual: Lived) -> None:
    assert differences(usual.states, found.states) == []
    assert [*found.doubled, *found.told_beyond(usual)] == []


def test_a_story_is_one_of_a_job_that_trains_and_leaves_nothing(usual: Lived) -> None:
    assert usual.states["resumed"]["EdgeTrainingJob digits"]["status"]["phase"] == "Training"
    assert {what for what in usual.states["resumed"] if what.startswith("pod")} == {
        "pod edge-a 2",
        "pod edge-b 3",
    }
    assert usual.states["deleted"].keys() == {"ConfigMap program", "Secret keyring"}


@pytest.mark.parametrize("name", CRASHES)
@pytest.mark.parametrize("first", [10, 17])
def test_operators_that_die_again_and_again_come_to_the_same_end(
    api: ApiServer, usual: Lived, name: str, first: int
) -> None:
    """Each in its first looks: seven calls are about one."""
    found = lived(api, Strike(range(first, 1000, 29), CRASHES[name]))
    ends_as_usual(found, usual)


@pytest.mark.parametrize("name", ["429", "reset after"])
def test_calls_that_meet_a_fault_come_to_the_same_end(api: ApiServer, usual: Lived, name: str) -> None:
    found = lived(api, Strike(range(11, 1000, 31), FAULTS[name]))
    assert differences(usual.states, found.states) == []
    assert found.doubled == []


def test_operators_that_are_overtaken_come_to_the_same_end(api: ApiServer, usual: Lived) -> None:
    found = lived(api, Strike(range(12, 1000, 37)), overtaken=True)
    ends_as_usual(found, usual)


def test_two_operators_that_lead_all_the_time_come_to_the_same_end(api: ApiServer, usual: Lived) -> None:
    ends_as_usual(lived(api, Strike(), pair=True), usual)


def test_a_clock_that_is_set_back_leads_to_the_same_end(api: ApiServer, usual: Lived) -> None:
    """Who has left does not count as heard for an hour; nor is a refusal waited for that long."""
    back = {"a node gone": -3600.0, "suspended": -3600.0}
    assert differences(usual.states, lived(api, Strike(), jumps=back).states) == []
