"""What makes no sense is refused with a reason or counts as not said, and never ends a reconcile."""

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from edgetrain_operator.core.children import plan_config_map
from edgetrain_operator.core.observe import job_view, pod_view, text_at, unix_time
from edgetrain_operator.core.planning import HIGHEST_BELIEVED
from edgetrain_operator.core.progress import seconds_for
from edgetrain_operator.core.quantities import amount
from edgetrain_operator.core.status_before import status_before
from edgetrain_operator.core.stored import DOCUMENT_KEY, StoredPlan, TooLarge
from edgetrain_operator.runtime.plan_store import read_plan
from edgetrain_operator.runtime.status_writer import write_invalid
from edgetrain_protocol.names import ATTEMPT_LABEL, NODE_ANNOTATION
from edgetrain_protocol.plan import HIGHEST_GENERATION, HIGHEST_REVISION
from edgetrain_protocol.status import ConditionType, JobStatus
from tests.support import rounds_world
from tests.support.api_in_memory import KubeInMemory
from tests.support.fuzz_scenes import Raw, scene
from tests.support.mutations import copied
from tests.support.world import World, trained


def ended() -> Raw:
    """The status of a job that is complete."""
    found: Raw = copied(scene("ended").job["status"])
    return found


# --- a status into which others have written


@pytest.mark.parametrize("wrong", [None, "x", [], 5, {"conditions": 5}, {"nodes": [5]}])
def test_a_status_that_is_none_says_nothing(wrong: Any) -> None:
    assert status_before(wrong) == JobStatus()


def test_of_a_status_what_cannot_be_read_is_not_said_and_the_rest_is() -> None:
    status = ended()
    status["nodes"].append({"node": 5})
    status["workers"] = "none"
    read = status_before(status)
    assert read == JobStatus.model_validate(ended()).model_copy(update={"workers": JobStatus().workers})


def test_one_condition_that_cannot_be_read_hides_no_other() -> None:
    status = ended()
    status["conditions"][0] |= {"status": "Perhaps"}
    kept = [c.type for c in status_before(status).conditions]
    assert kept == [c["type"] for c in ended()["conditions"][1:]]
    assert ConditionType.COMPLETE in kept


def test_numbers_in_a_status_go_as_far_as_numbers_go() -> None:
    told = {"trainedSeconds": 10**400, "failures": -1, "plan": {"lineage": 2**63, "revision": 2**63}}
    read = status_before(told)
    assert (read.trained_seconds, read.failures) == (2**53 - 1, 0)
    assert (read.plan.lineage, read.plan.revision) == (HIGHEST_GENERATION, HIGHEST_REVISION)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "0001-01-01", "", None])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert unix_time(text) <= 0.0


def test_times_that_are_none_are_told_anew() -> None:
    world = trained("a", "b")
    wrong = {"start_time": "yesterday", "completion_time": "never"}
    conditions = [c.model_copy(update={"last_transition_time": "x"}) for c in world.status.conditions]
    world.status = world.status.model_copy(update={**wrong, "conditions": conditions})
    world.settle()
    assert unix_time(world.status.start_time) == world.now
    assert {unix_time(c.last_transition_time) for c in world.status.conditions} == {world.now}


def test_a_spec_that_cannot_be_read_is_told_of_beside_a_status_that_cannot() -> None:
    raw = copied(scene("training").job) | {"spec": {"nodes": 5}, "status": {"conditions": "none"}}
    kube = KubeInMemory(lambda: 0.0)
    kube.put("edgetrainingjobs", raw)
    with pytest.raises(ValidationError) as error:
        job_view(raw)
    asyncio.run(write_invalid(kube, raw, error.value, 1.0))
    (condition,) = kube.all("edgetrainingjobs")[0]["status"]["conditions"]
    assert condition["reason"] == "InvalidSpec" and condition["message"].startswith("spec.nodes: ")


@pytest.mark.parametrize("spec", [None, [], "x", {"scheduling": []}, {"scheduling": {"queue": {}}}])
def test_a_queue_that_is_none_is_none_before_anything_is_known_of_a_job(spec: Any) -> None:
    assert text_at({"spec": spec}, "spec", "scheduling", "queue") == ""


# --- a stored plan into which others have written


def documents() -> Iterator[tuple[str, Raw]]:
    def changed(**plan: Any) -> Raw:
        document: Raw = json.loads(trained("a", "b").stored.to_document())
        return document | plan

    whole = changed()
    worker, record = next(iter(whole["workers"].items()))
    (group,) = whole["plan"]["groups"]
    alone = group | {"group": group["group"] | {"succession": group["group"]["succession"][:1]}}
    yield "a time that is none", changed(firstReady=math.nan)
    yield "a time beyond all times", changed(firstReady=1e300)
    yield "a count below none", changed(workers={worker: record | {"attempt": -1}})
    yield "a worker of another node", changed(workers={"w-x": record})
    yield "a member whom nobody succeeds", changed(plan=whole["plan"] | {"groups": [alone]})
    yield "a revision beyond all", changed(plan=whole["plan"] | {"revision": HIGHEST_REVISION + 1})


@pytest.mark.parametrize(("what", "document"), list(documents()))
def test_a_stored_plan_that_makes_no_sense_cannot_be_read(what: str, document: Raw) -> None:
    with pytest.raises(ValidationError):
        StoredPlan.from_wire(json.dumps(document))


def test_a_stored_plan_of_another_job_is_made_anew() -> None:
    found, kube = copied(scene("training").plan), KubeInMemory(lambda: 0.0)
    document = json.loads(found["data"][DOCUMENT_KEY])
    document["plan"]["jobUid"] = "another"
    kube.put("configmaps", found | {"data": {DOCUMENT_KEY: json.dumps(document)}})
    held = asyncio.run(read_plan(kube, job_view(scene("training").job)))
    assert held.stored == StoredPlan() and "another job's" in held.damage


def test_a_plan_behind_the_last_revision_is_refused_with_a_reason() -> None:
    world = trained("a", "b")
    assert world.stored.plan
    last = world.stored.plan.model_copy(update={"revision": HIGHEST_REVISION + 1})
    stored = world.stored.model_copy(update={"plan": last})
    with pytest.raises(TooLarge, match=r"revision .* is beyond the last"):
        plan_config_map(world.observed().job, stored, None)


def test_who_says_to_hold_the_last_revision_leaves_room_for_more() -> None:
    world = trained("a", "b")
    world.heard_revision = HIGHEST_REVISION
    world.settle()
    assert world.plan.revision == HIGHEST_BELIEVED + 1


def test_a_holder_that_no_worker_is_known_for_is_told_by_its_own_name() -> None:
    world = rounds_world.begun("abc")
    rounds = world.stored.rounds.model_copy(update={"begun": True, "council": ("nobody",)})
    world.stored = world.stored.model_copy(update={"rounds": rounds})
    world.step()
    assert world.status.rounds and "nobody" in world.status.rounds.holders


# --- what others have written over a pod


def test_a_pod_is_where_it_is_bound_whatever_is_written_over_it() -> None:
    pod = copied(scene("training").pods[0])
    node = pod_view(pod).node
    pod["metadata"]["annotations"][NODE_ANNOTATION] = "x" * 300
    assert pod_view(pod).node == node


@pytest.mark.parametrize("label", ["x", "", "-1", "9" * 40, "\uff12"])
def test_an_attempt_that_is_no_number_is_none(label: str) -> None:
    pod = copied(scene("training").pods[0])
    pod["metadata"]["labels"][ATTEMPT_LABEL] = label
    assert pod_view(pod).attempt == 0


# --- numbers


def test_the_time_until_the_end_is_told_where_it_comes() -> None:
    assert [seconds_for(10.0, rate) for rate in (2.0, 0.0, 1e-300)] == [5, None, None]


@pytest.mark.parametrize("text", ["1.2.3", "1e9999", ".", "", "1 Gi", "nan"])
def test_what_is_no_quantity_is_refused_as_that(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(text)


def test_a_report_of_a_speed_next_to_none_ends_nothing() -> None:
    world = World.of("a")
    world.settle()
    world.say("a")
    world.settle()
    world.train("a")
    said = world.reports[next(iter(world.reports))].training
    assert said
    part = said.model_dump(exclude_unset=True) | {"steps_per_second": 1e-300, "percent": 1.0}
    world.say("a", **{key: value for key, value in part.items() if key != "state"}, state=said.state)
    world.settle()
    assert world.status.progress.eta_seconds is None
