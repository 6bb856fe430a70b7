"""Jobs of one queue, decided one after another as their reconciles would be: who gets which node, and why."""

from dataclasses import replace

import pytest

from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.queues.claiming import claim_of
from edgetrain_operator.core.queues.gain import gain
from edgetrain_operator.core.queues.sharing import STAY_SECONDS
from edgetrain_protocol.status import Condition
from tests.support.queued_jobs import NODES, QueuedJobs
from tests.support.workloads import admit, queued
from tests.support.world import World, edge_node, trained


def test_jobs_without_a_queue_have_workers_on_the_same_nodes() -> None:
    fleet = QueuedJobs()
    for name in ("one", "two"):
        fleet.job(name)
        fleet.jobs[name].spec = {"nodes": {}}
        fleet.look(name)
    assert fleet.held("one") == fleet.held("two") == "abcd"


def test_two_jobs_of_one_queue_share_its_nodes_evenly() -> None:
    fleet = QueuedJobs()
    fleet.job("one")
    fleet.settle()
    assert fleet.held("one") == "abcd"
    fleet.train("one")
    fleet.now += STAY_SECONDS
    fleet.job("two", min=2)
    fleet.settle()
    assert sorted(fleet.held("one") + fleet.held("two")) == list(NODES)
    assert len(fleet.held("one")) == len(fleet.held("two")) == 2
    assert fleet.jobs["one"].members == list(fleet.held("one"))
    assert fleet.jobs["one"].aggregator in fleet.held("one")
    assert fleet.jobs["one"].told.count("NodesGivenBack") == 1
    assert fleet.jobs["two"].told.count("NodesGranted") == 1
    assert "without one: " in fleet.said("one").message
    assert "queue fleet: two has it" in fleet.said("one").message


def test_a_worker_comes_only_once_the_others_pod_has_ended() -> None:
    fleet = QueuedJobs()
    fleet.job("one")
    fleet.settle()
    fleet.job("two", min=2, max=2)
    fleet.look("two", "one", "two")
    (leaving,) = {tuple(sorted(p.node for p in fleet.jobs["one"].pods.values() if p.deleting))}
    assert len(leaving) == 2 and fleet.held("two") == ""
    refused = fleet.said("two").message
    assert "the worker of one ends there first" in refused
    fleet.jobs["one"].finish_deletions()
    fleet.look("one")
    assert "two" in fleet.woken
    fleet.look("two")
    assert fleet.held("two") == "".join(leaving)


def test_who_cannot_have_its_min_waits_without_a_node_and_is_told_who_has_them() -> None:
    fleet = QueuedJobs()
    fleet.job("one", min=3)
    fleet.settle()
    late = fleet.job("two", min=2, priority=5)
    fleet.settle()
    assert fleet.held("one") == "abcd" and fleet.held("two") == ""
    said = fleet.said("two")
    assert (said.status, said.reason) == ("False", "Queued")
    assert said.message.startswith(
        "queue fleet: 1 of the 4 nodes that it could use can be had, and spec.nodes.min is 2; "
        "one has 4 (its min is 3)"
    )
    assert late.status.phase == "Queued" and late.status.start_time is None
    assert late.told.count("Queued") == fleet.queues.waiting == 1


def test_who_comes_first_by_priority_begins_when_nodes_are_free_again() -> None:
    fleet = QueuedJobs()
    first = fleet.job("first", min=4)
    fleet.settle()
    fleet.job("low", min=3)
    fleet.job("high", min=3, priority=1)
    fleet.settle()
    assert fleet.held("low") == fleet.held("high") == ""
    first.spec["suspend"] = True
    fleet.settle()
    assert (fleet.held("first"), len(fleet.held("high")), fleet.held("low")) == ("", 4, "")
    assert fleet.jobs["high"].status.start_time
    assert "high has 4 (its min is 3)" in fleet.said("low").message


@pytest.mark.parametrize("release", [True, False])
def test_a_job_that_is_over_or_gone_leaves_its_nodes(release: bool) -> None:
    fleet = QueuedJobs()
    fleet.job("one", min=4)
    fleet.job("two", min=2)
    fleet.settle()
    if release:
        fleet.queues.release(("default", "one"))
        fleet.jobs["one"].pods.clear()
        over = Condition(
            type="Complete", status="True", reason="Finished", last_transition_time="2026-01-01T00:00:00Z"
        )
        fleet.jobs["one"].status = fleet.jobs["one"].status.model_copy(update={"conditions": [over]})
    else:
        del fleet.jobs["one"]
        fleet.queues.drop(("default", "one"))
    assert "two" in fleet.woken
    fleet.settle()
    assert fleet.held("two") == "abcd"


def test_a_dark_node_stays_with_its_job() -> None:
    fleet = QueuedJobs()
    fleet.job("one", min=1, max=2)
    fleet.job("two", min=1)
    fleet.settle()
    dark = fleet.held("one")[0]
    fleet.nodes[dark] = edge_node(dark, ready=False)
    fleet.now += 3600
    fleet.settle()
    assert dark in fleet.held("one") and dark not in fleet.held("two")


def test_dark_nodes_are_not_counted_on_for_what_a_job_keeps() -> None:
    fleet = QueuedJobs()
    fleet.job("one", min=2, max=3)
    fleet.settle()
    dark = fleet.held("one")[0]
    del fleet.nodes["d"]
    fleet.nodes[dark] = edge_node(dark, ready=False)
    fleet.job("two")
    fleet.settle()
    assert fleet.held("one") == "abc" and fleet.said("two").reason == "Queued"
    fleet.nodes[dark] = edge_node(dark)
    fleet.settle()
    assert len(fleet.held("one")) == 2 and len(fleet.held("two")) == 1


def test_what_is_scaled_down_goes_back() -> None:
    fleet = QueuedJobs()
    fleet.job("one")
    fleet.job("two", min=2)
    fleet.settle()
    assert len(fleet.held("one")) == len(fleet.held("two")) == 2
    fleet.jobs["one"].spec["nodes"] = {"max": 1}
    fleet.settle()
    assert len(fleet.held("one")) == 1 and len(fleet.held("two")) == 3
    fleet.jobs["one"].spec["nodes"] = {"max": 0}
    fleet.settle()
    assert fleet.held("one") == "" and fleet.held("two") == "abcd"
    fleet.jobs["two"].spec["nodes"] = {"max": 3}
    fleet.settle()
    assert "the job has as many as it may have now" in fleet.said("two").message


def test_a_job_that_grows_by_doubling_has_no_node_that_it_cannot_use_yet() -> None:
    fleet = QueuedJobs()
    fleet.job("one").spec["elastic"] = {"growth": "doubling"}
    fleet.settle()
    assert fleet.held("one") == "a"
    fleet.job("two")
    fleet.settle()
    assert fleet.held("two") == "bcd"
    fleet.train("one")
    fleet.now += STAY_SECONDS
    fleet.settle()
    assert (len(fleet.held("one")), len(fleet.held("two"))) == (2, 2)


def test_after_a_take_over_nobody_gets_a_node_before_all_have_said_what_they_have() -> None:
    fleet = QueuedJobs()
    fleet.job("one", min=3)
    fleet.job("two", min=1)
    fleet.settle()
    before = {name: fleet.held(name) for name in fleet.jobs}
    fleet.job("three", min=1)
    fleet.take_over()
    fleet.look("three", "two")
    assert fleet.held("three") == "" and fleet.held("two") == before["two"]
    assert "looks at the other jobs of the queue first" in fleet.said("three").message
    told = {name: list(world.told) for name, world in fleet.jobs.items() if name != "three"}
    fleet.look("one")
    assert {name: fleet.held(name) for name in before} == before
    assert {name: world.told for name, world in fleet.jobs.items() if name != "three"} == told


def test_a_job_that_cannot_be_looked_at_holds_up_the_others_for_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = QueuedJobs()
    fleet.job("one")
    fleet.queues.expect(("default", "stuck"), "fleet")
    fleet.look("one")
    assert fleet.held("one") == ""
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    fleet.look("one")
    assert fleet.held("one") == "abcd"


def test_a_queue_is_one_namespaces_unless_it_is_shared() -> None:
    for shared, have in (((), 4), (("fleet",), 2)):
        fleet = QueuedJobs(*shared)
        fleet.job("one", min=2)
        fleet.look("one")
        seen = fleet.observed("one")
        elsewhere = replace(seen, job=replace(seen.job, namespace="other", uid="uid-2"), pods=())
        grant = fleet.queues.grant(elsewhere)
        assert grant is not None and len(grant.nodes) == have
        assert set(grant.holders.values()) == ({"default/one", "other/one"} if shared else {"one"})


def steps(world: World, own: float, *nodes: str) -> None:
    """They report steps of one second, of which each works so much by itself."""
    world.train(*nodes)
    for node in nodes:
        worker = worker_name(node)
        stamped = world.reports[worker]
        assert stamped.training is not None
        phases = {"backward": own / 2, "forward": own / 2, "reduce": 1 - own}
        part = stamped.training.model_copy(update={"step_seconds": 1.0, "phase_seconds": phases})
        world.reports[worker] = replace(stamped, training=part)


@pytest.mark.parametrize(
    ("own", "members", "worth"), [(1.0, "ab", 1.0), (0.0, "ab", 0.0), (0.5, "ab", 0.67), (0.5, "abcd", 0.57)]
)
def test_what_the_last_worker_adds_follows_from_what_each_works_by_itself(
    own: float, members: str, worth: float
) -> None:
    world = trained(*members)
    steps(world, own, *members)
    assert gain(world.observed(), None) == worth


def test_the_gain_is_as_prediction_says() -> None:
    """Of n members that work c / n each and need s for their exchange."""
    for c, s, n in ((3.0, 0.2, 2), (1.0, 0.5, 3), (0.4, 2.0, 4)):
        world = trained(*"abcd"[:n])
        own, seconds, before = c / n, c / n + s, c / (n - 1) + s
        steps(world, own / seconds, *"abcd"[:n])
        found = gain(world.observed(), None)
        assert found == pytest.approx((1 / seconds - 1 / before) / (1 / seconds / n), abs=0.006)


def test_a_gain_holds_until_it_is_clearly_another() -> None:
    world = trained("a", "b")
    steps(world, 0.5, "a", "b")
    assert gain(world.observed(), 0.6) == 0.6
    assert gain(world.observed(), 0.9) == 0.67


def test_of_one_alone_and_of_whom_nobody_hears_no_gain_is_known() -> None:
    for world in (World.of("a"), trained("a"), trained("a", "b")):
        assert gain(world.observed(), 0.5) is None


def test_with_data_of_its_own_each_worker_adds_what_the_others_do() -> None:
    world = trained("a", "b", data={"policy": "local"})
    steps(world, 0.1, "a", "b")
    assert gain(world.observed(), None) == 1.0


def test_the_odd_node_goes_to_who_gains_more_once_it_has_stayed() -> None:
    fleet = QueuedJobs()
    fleet.nodes["e"] = edge_node("e")
    worth = {"a-slow": 0.1, "b-fast": 0.9}
    for name in worth:
        fleet.job(name, min=2)
    fleet.settle()
    for seconds, counts in ((0.0, [3, 2]), (STAY_SECONDS, [2, 3]), (STAY_SECONDS, [2, 3])):
        fleet.now += seconds
        for name, own in worth.items():
            fleet.train(name)
            steps(fleet.jobs[name], own, *fleet.held(name))
        fleet.settle()
        assert [len(fleet.held(name)) for name in worth] == counts
    gains = [world.status.queue.gain for world in fleet.jobs.values() if world.status.queue]
    assert gains[0] is not None and gains[1] is not None and gains[1] > 2 * gains[0]
    # Two for the other's min, which came later, and one for its gain.
    assert fleet.jobs["a-slow"].told.count("NodesGivenBack") == 2


def test_who_waits_for_quota_of_kueue_claims_no_nodes_of_its_queue() -> None:
    world = queued("edge-1", "edge-2", scheduling={"queue": "fleet"})
    assert claim_of(world.observed(), "digits", None).most == 0
    admit(world, 1)
    assert claim_of(world.observed(), "digits", None).most == 1
