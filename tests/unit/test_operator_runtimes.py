"""What a job comes to by the runtime that it names: the merge, which version counts, what is said of it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgetrain_operator.core.allowed import Allowed
from edgetrain_operator.core.decide import decide
from edgetrain_operator.core.model import Refusal, Subject
from edgetrain_operator.core.runtimes.merge import merged
from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.runtime.runtime_table import RuntimeTable
from edgetrain_protocol.base import Document
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.runtime import ANYTHING, CHANGEABLE, JOBS_OWN, RuntimeParts, RuntimeSpec, section
from tests.support.world import World, going

Spec = dict[str, Any]
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
PLATFORM: Spec = {
    "program": {"image": "registry.example/gpu:7", "env": [{"name": "PROXY", "value": "p"}]},
    "nodes": {"selector": {"matchLabels": {"board": "gpu"}}},
    "template": {
        "metadata": {"labels": {"team": "platform"}},
        "spec": {
            "containers": [{"name": "trainer", **GPU}],
            "securityContext": {"runAsUser": 1000},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
        },
    },
    "storage": {"checkpoint": {"claim": {"storageClassName": "local", "size": "5Gi"}}},
    "strategy": {"checkpointEverySeconds": 300},
    "runPolicy": {"backoffLimit": 2},
}
USER: Spec = {"program": {"source": {"configMap": {"name": "digits"}}}}


def merge(job: Spec, runtime: Spec = PLATFORM, *may_change: str) -> tuple[JobSpec, tuple[str, ...]]:
    found = merged(
        JobSpec.model_validate(job), RuntimeSpec.model_validate(runtime | {"mayChange": list(may_change)})
    )
    return found.spec, found.refused


def at(model: Any, path: str) -> Any:
    """What a model has at a dotted path; of a list's entry by its name."""
    for name in path.split("."):
        if isinstance(model, list):
            model = next(entry for entry in model if entry.name == name)
        elif isinstance(model, Document):
            fields = {about.alias: key for key, about in type(model).model_fields.items()}
            model = getattr(model, fields[name])
        else:
            model = model[name]
    return model


def test_a_short_job_is_all_that_its_runtime_says() -> None:
    spec, refused = merge(USER)
    assert refused == ()
    for path in (
        "program.image",
        "storage.checkpoint",
        "template.spec.securityContext",
        "runPolicy.backoffLimit",
    ):
        assert at(spec, path) == at(RuntimeSpec.model_validate(PLATFORM), path)
    assert (spec.strategy.checkpoint_every_seconds, spec.program.source) == (
        300,
        at(JobSpec.model_validate(USER), "program.source"),
    )
    assert spec.template.spec.containers[0].resources == GPU["resources"]


LIMITS = {"resources": {"limits": {"cpu": "1"}}}


@pytest.mark.parametrize(
    ("path", "said", "shown"),
    [
        ("program.image", {"program": {"image": "mine"}}, "mine"),
        ("strategy.checkpointEverySeconds", {"strategy": {"checkpointEverySeconds": 30}}, "30"),
        ("runPolicy.backoffLimit", {"runPolicy": {"backoffLimit": 6}}, "6"),
        ("template.spec.hostNetwork", {"template": {"spec": {"hostNetwork": True}}}, "true"),
        ("storage.checkpoint", {"storage": {"checkpoint": {"claim": {"size": "9Gi"}}}}, "9Gi"),
        ("template.spec.securityContext", {"template": {"spec": {"securityContext": {"fsGroup": 5}}}}, "5"),
        ("nodes.selector.matchLabels", {"nodes": {"selector": {"matchLabels": {"board": "cpu"}}}}, "cpu"),
        ("program.env", {"program": {"env": [{"name": "PROXY", "value": "mine"}]}}, "mine"),
        (
            "template.spec.containers.trainer.resources",
            {"template": {"spec": {"containers": [{"name": "trainer", **LIMITS}]}}},
            "cpu",
        ),
        ("template.spec.tolerations", {"template": {"spec": {"tolerations": [{"key": "x"}]}}}, "x"),
    ],
)
def test_what_a_runtime_does_not_list_is_refused_and_stays_its_own(path: str, said: Spec, shown: str) -> None:
    """Also where the job says what would be the default of a job without a runtime."""
    spec, (refused,) = merge(said)
    assert refused.startswith(path) and shown in refused
    assert at(spec, path) == at(merge({})[0], path)
    listed, nothing = merge(said, PLATFORM, path)
    assert nothing == () and at(listed, path) != at(spec, path)


def test_a_job_says_what_is_trained_on_which_data_where() -> None:
    job = {
        "program": USER["program"] | {"args": ["--fast"], "env": [{"name": "MODE", "value": "x"}]},
        "nodes": {"selector": {"matchLabels": {"site": "north"}}, "min": 2, "max": 3, "exclude": ["edge-9"]},
        "data": {"policy": "local"},
        "storage": {"data": {"volume": {"hostPath": {"path": "/data"}}}},
        "suspend": True,
        "scheduling": {"queue": "fleet"},
    }
    spec, refused = merge(job)
    assert refused == ()
    assert [variable.name for variable in spec.program.env] == ["PROXY", "MODE"]
    assert spec.nodes.selector.match_labels == {"board": "gpu", "site": "north"}
    assert (spec.nodes.min, spec.nodes.max, spec.nodes.exclude) == (2, 3, ["edge-9"])
    assert (spec.data.policy, spec.suspend, spec.scheduling.queue) == ("local", True, "fleet")
    assert spec.storage.data is not None


def test_what_is_the_jobs_own_is_the_runtimes_where_that_says_it() -> None:
    runtime = {"program": {"command": ["platform-run"]}, "data": {"policy": "distributed"}}
    spec, refused = merge({"program": {"command": ["mine"]}, "data": {"policy": "local"}}, runtime)
    assert [text.split()[0] for text in refused] == ["program.command", "data.policy"]
    assert (spec.program.command, spec.data.policy) == (["platform-run"], "distributed")


def test_what_comes_to_the_same_is_no_change() -> None:
    assert merge({**PLATFORM, "strategy": {"checkpointEverySeconds": 300, "payload": "auto"}})[1] == ()


def test_what_a_runtime_may_list_are_fields_of_jobs() -> None:
    with pytest.raises(ValidationError, match="no field that a runtime says"):
        RuntimeSpec(may_change=["program.colour"])
    full = {"template": {"spec": {"containers": [{"name": "trainer"}, {"name": "profiler"}]}}}
    for path in {*CHANGEABLE, *JOBS_OWN} - {ANYTHING}:
        for model in (JobSpec, RuntimeSpec):
            at(model.model_validate(full), path)


def test_all_that_a_runtime_says_can_be_listed() -> None:
    def leaves(model: type[Document], path: str) -> list[str]:
        fields = {f"{path}{about.alias}": section(about) for about in model.model_fields.values()}
        return [p for here, part in fields.items() for p in (leaves(part, f"{here}.") if part else [here])]

    found = leaves(RuntimeParts, "")
    assert len(found) > 40 and set(found) <= set(CHANGEABLE)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


names, texts = st.sampled_from(["A", "B"]), st.sampled_from(["x", "y"])
maps = st.dictionaries(names, texts)
env = maps.map(lambda found: [{"name": name, "value": value} for name, value in found.items()])
keys = st.lists(texts, unique=True).map(lambda found: [{"key": key} for key in found])
pod = some(
    hostNetwork=st.booleans(),
    tolerations=keys,
    containers=env.map(lambda found: [{"name": "trainer", "env": found}]),
)
specs = some(
    program=some(image=texts, args=st.lists(texts, max_size=2), env=env),
    nodes=some(selector=some(matchLabels=maps)),
    template=some(spec=pod),
    strategy=some(payload=st.sampled_from(["auto", "fp32"])),
    storage=some(data=st.just({"volume": {"emptyDir": {}}}), model=st.just({"volume": {"emptyDir": {}}})),
)
lists = st.lists(st.sampled_from(CHANGEABLE), unique=True, max_size=4)


@settings(max_examples=30)
@given(specs, specs, lists)
def test_a_merge_is_its_own_outcome(job: Spec, runtime: Spec, may_change: list[str]) -> None:
    spec, refused = merge(job, runtime, *may_change)
    again = merged(spec, RuntimeSpec.model_validate(runtime | {"mayChange": may_change}))
    assert again.refused == () and again.spec.to_wire() == spec.to_wire()
    for text in refused:
        path = text.split()[0]
        assert not any(f"{path}.".startswith(f"{whole}.") for whole in may_change)


@settings(max_examples=30)
@given(specs, specs)
def test_where_anything_may_be_changed_nothing_is_refused_and_all_that_a_job_says_counts(
    job: Spec, runtime: Spec
) -> None:
    spec, refused = merge(job, runtime, ANYTHING)
    assert refused == ()
    said = JobSpec.model_validate(job)
    if "payload" in job.get("strategy", {}):
        assert spec.strategy.payload == said.strategy.payload
    if "image" in job.get("program", {}):
        assert spec.program.image == said.program.image
    assert {e.name: e for e in spec.program.env}.items() >= {e.name: e for e in said.program.env}.items()


@settings(max_examples=30)
@given(specs)
def test_a_runtime_that_says_nothing_changes_nothing(job: Spec) -> None:
    assert merge(job, {}, ANYTHING)[0].to_wire() == JobSpec.model_validate(job).to_wire()


# Which version counts, and what is said of it


def version(generation: int, uid: str = "r", **spec: Any) -> RuntimeVersion:
    return RuntimeVersion(name="gpu", uid=uid, generation=generation, spec=PLATFORM | spec)


def world(runtime: RuntimeVersion | None, **spec: Any) -> World:
    made = World.of("edge-a", runtimeRef={"name": "gpu"}, **(USER | spec))
    labels = {**made.nodes["edge-a"].labels, "board": "gpu"}
    made.nodes["edge-a"] = replace(made.nodes["edge-a"], labels=labels)
    made.runtime = runtime
    return made


def test_a_job_whose_runtime_is_missing_waits_for_it() -> None:
    here = world(None)
    here.settle()
    said = here.condition("Scheduled")
    assert (said.status, said.reason, here.pods) == ("False", "RuntimeMissing", {})
    assert "EdgeTrainingRuntime gpu is not in this cluster" in said.message
    here.runtime = version(1)
    here.settle()
    assert [pod.node for pod in here.pods.values()] == ["edge-a"]
    assert here.stored.runtime == version(1)


def test_a_job_that_says_what_it_may_not_gets_no_worker_until_it_may() -> None:
    here = world(version(1), strategy={"payload": "int8"})
    here.settle()
    said = here.condition("Scheduled")
    assert (said.reason, here.pods) == ("NotAllowed", {})
    assert "strategy.payload int8 may not be said: spec.mayChange of EdgeTrainingRuntime gpu" in said.message
    here.runtime = version(2, mayChange=["strategy"])
    here.settle()
    assert len(here.pods) == 1
    assert here.status.runtime is not None and here.status.runtime.generation == 2


def test_a_job_that_trains_keeps_what_it_began_with() -> None:
    here = going(world(version(1)), "edge-a")
    for newest, reason in ((version(2, mayChange=["data"]), "RuntimeChanged"), (None, "RuntimeDeleted")):
        here.runtime = newest
        before = dict(here.pods)
        here.settle()
        assert here.pods == before and here.status.phase == "Training"
        assert here.observed().job.spec.strategy.checkpoint_every_seconds == 300
        status = here.status.runtime
        assert status is not None and status.generation == 1
        assert status.newest_generation == (newest.generation if newest else None)
        assert here.told.count(reason) == 1
    here.remove_pod("edge-a")
    here.settle()
    here.pass_time(60)
    here.settle()
    assert len(here.pods) == 1, "another pod, by what is stored"
    assert here.status.runtime is not None and here.status.runtime.generation == 1


def test_of_a_job_that_is_over_nothing_more_is_said() -> None:
    here = going(world(version(1)), "edge-a")
    here.say("edge-a", TrainerState.FINISHED, model="/m", step=10)
    here.settle()
    assert here.status.phase == "Complete"
    here.runtime = None
    here.settle()
    assert here.status.runtime is not None and here.status.runtime.newest_generation == 1
    assert "RuntimeDeleted" not in here.told


def test_a_job_that_is_suspended_and_goes_on_takes_the_newest() -> None:
    here = going(world(version(1)), "edge-a")
    here.spec["suspend"] = True
    here.remove_pod("edge-a")
    here.settle()
    here.runtime = version(2, mayChange=["data"])
    here.spec["suspend"] = False
    here.refusals[Subject("node", "edge-a")] = Refusal("PodRefused", "not now", here.now + 30)
    here.settle()
    assert not here.pods and here.status.runtime is not None and here.status.runtime.generation == 2
    here.refusals.clear()
    here.settle()
    assert here.pods and here.stored.runtime == here.runtime
    assert not {"RuntimeChanged", "RuntimeDeleted"} & set(here.told)


def test_a_runtime_that_pods_are_refused_by_can_be_mended() -> None:
    """Nothing has begun while no pod is there."""
    here = world(version(1))
    here.carry_out(decide(here.observed()), actions=0)
    assert here.stored.runtime == version(1) and not here.pods
    here.runtime = version(2, mayChange=["data"])
    here.settle()
    assert here.stored.runtime == version(2, mayChange=["data"])


def test_what_a_job_changes_while_it_trains_and_may_not_does_not_count() -> None:
    here = going(world(version(1)), "edge-a")
    here.spec["runPolicy"] = {"backoffLimit": 900}
    here.settle()
    assert here.observed().job.spec.run_policy.backoff_limit == 2
    assert here.condition("Training").status == "True"
    assert "runPolicy.backoffLimit 900 may not be said" in here.condition("Scheduled").message


def test_a_runtime_may_say_what_the_chart_lets_no_job_say() -> None:
    here = world(version(1))
    here.defaults = replace(here.defaults, allowed=Allowed(registries=("registry.example/team/",)))
    here.settle()
    assert len(here.pods) == 1
    named = world(version(1, mayChange=["program"]), program={"image": "elsewhere.example/x"})
    named.defaults = here.defaults
    named.settle()
    assert named.condition("Scheduled").reason == "NotAllowed" and not named.pods


def test_a_job_asks_for_quota_once_its_runtime_lets_it_have_workers() -> None:
    here = world(None)
    here.queue, here.defaults = "team-a", replace(here.defaults, kueue=True)
    here.settle()
    assert (here.workload, here.condition("Scheduled").reason) == (None, "RuntimeMissing")
    here.runtime = version(1)
    here.settle()
    assert here.workload is not None and here.condition("Suspended").reason == "Queued"
    (pods,) = here.workload["spec"]["podSets"]
    assert pods["template"]["spec"]["containers"][0]["image"] == "registry.example/gpu:7"
    assert here.stored.runtime is None, "it has not begun"


def test_a_job_whose_plan_is_lost_keeps_the_newest_from_then_on() -> None:
    here = going(world(version(1)), "edge-a")
    here.stored, here.runtime = StoredPlan(), version(2, mayChange=["data"])
    before = dict(here.pods)
    here.settle()
    here.runtime = version(3)
    here.settle()
    assert here.pods == before
    assert here.status.runtime is not None and here.status.runtime.generation == 2


def test_a_runtime_that_cannot_be_read_is_named() -> None:
    here = world(version(1, colour="red"))
    here.settle()
    said = here.condition("Scheduled")
    assert said.reason == "RuntimeInvalid" and "EdgeTrainingRuntime gpu: spec.colour" in said.message


def test_a_runtime_is_for_the_namespaces_that_it_lists() -> None:
    here = world(version(1, namespaces=["team-a"]))
    here.settle()
    said = here.condition("Scheduled")
    assert said.reason == "NotAllowed" and not here.pods
    assert "EdgeTrainingRuntime gpu is not for namespace default" in said.message
    here.runtime = version(2, namespaces=["team-a", "default"])
    here.settle()
    assert here.pods


def test_a_job_with_nothing_to_run_says_so() -> None:
    here = world(RuntimeVersion(name="gpu", uid="r", generation=1, spec={}), program={})
    here.settle()
    assert (
        "nothing to run: neither the job nor EdgeTrainingRuntime gpu" in here.condition("Scheduled").message
    )


def test_a_sweep_finds_what_a_watch_has_missed() -> None:
    def raw(name: str, generation: int) -> Spec:
        return {"metadata": {"name": name, "uid": name, "generation": generation}, "spec": {}}

    table = RuntimeTable()
    assert table.sweep([raw("a", 1), raw("b", 1), raw("c", 1)]) == ["a", "b", "c"]
    assert table.put(raw("a", 1)) is None
    assert table.sweep([raw("b", 2), raw("c", 1)]) == ["a", "b"]
    assert (table.drop("a"), table.drop("b")) == (None, "b")
