"""Overrides per class of nodes: which apply, and what the pods of a node come to."""

from typing import Any

from edgetrain_operator.core.containers import image_of
from edgetrain_operator.core.model import Defaults, Job, NodeView
from edgetrain_operator.core.overrides import Overridden, overridden
from edgetrain_operator.core.pods import worker_pod
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import EDGE_NODE_LABEL
from edgetrain_protocol.status import JobStatus

DEFAULTS = Defaults("registry.example/edgetrain:1", "fleet.example:8443")
ARM = {"matchLabels": {"kubernetes.io/arch": "arm64"}}
JETSON = {"matchLabels": {"example.org/board": "jetson"}}


def node(arch: str, **labels: str) -> NodeView:
    more = {f"example.org/{key}": value for key, value in labels.items()}
    return NodeView("edge-a", {EDGE_NODE_LABEL: "", "kubernetes.io/arch": arch, **more})


def job(*overrides: dict[str, Any], **spec: Any) -> Job:
    document = JobSpec.model_validate({"overrides": list(overrides), **spec})
    return Job("digits", "default", "uid-1", 1, document, JobStatus())


def trainer(made: Job, on: NodeView) -> dict[str, Any]:
    (container,) = worker_pod(made, on, 1, DEFAULTS)["spec"]["containers"]
    return dict(container)


def env(made: Job, on: NodeView) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in trainer(made, on)["env"]}


def test_what_no_override_is_for_stays_as_it_is() -> None:
    made = job({"selector": ARM, "image": "arm:1", "env": [{"name": "A", "value": "1"}]})
    assert overridden(made.spec, node("amd64")) == Overridden()
    assert image_of(made, node("amd64"), DEFAULTS) == DEFAULTS.trainer_image


def test_one_manifest_list_serves_all_architectures_by_one_name() -> None:
    made = job(program={"image": "list:1"})
    assert {image_of(made, node(arch), DEFAULTS) for arch in ("amd64", "arm64")} == {"list:1"}


def test_an_architecture_may_have_an_image_of_its_own() -> None:
    made = job({"selector": ARM, "image": "arm:1"}, program={"image": "amd:1"})
    images = {arch: image_of(made, node(arch), DEFAULTS) for arch in ("amd64", "arm64")}
    assert images == {"amd64": "amd:1", "arm64": "arm:1"}
    pod = worker_pod(made, node("arm64"), 1, DEFAULTS)
    assert pod["spec"]["initContainers"][0]["image"] == "arm:1"


def test_all_that_match_apply_and_a_later_one_wins() -> None:
    made = job(
        {"selector": JETSON, "image": "jetson:1", "env": [{"name": "B", "value": "jetson"}]},
        {
            "selector": ARM,
            "env": [{"name": "A", "value": "arm"}, {"name": "B", "value": "arm"}],
            "resources": {"limits": {"memory": "1Gi", "cpu": "2"}},
            "tolerations": [{"key": "slow", "operator": "Exists"}],
        },
        {
            "selector": {"matchExpressions": [{"key": "example.org/board", "operator": "Exists"}]},
            "resources": {"limits": {"memory": "4Gi"}},
            "tolerations": [{"key": "board", "operator": "Exists"}],
        },
        program={"env": [{"name": "A", "value": "job"}, {"name": "C", "value": "job"}]},
    )
    board = node("arm64", board="jetson")
    assert trainer(made, board)["image"] == "jetson:1"
    assert trainer(made, board)["resources"] == {"limits": {"memory": "4Gi"}}
    assert {key: env(made, board)[key] for key in "ABC"} == {"A": "arm", "B": "arm", "C": "job"}
    tolerated = {t["key"] for t in worker_pod(made, board, 1, DEFAULTS)["spec"]["tolerations"]}
    assert tolerated >= {"slow", "board"}
    assert trainer(made, node("arm64"))["resources"] == {"limits": {"memory": "1Gi", "cpu": "2"}}


def test_what_the_operator_sets_no_override_takes_away() -> None:
    made = job({"selector": {}, "env": [{"name": "EDGETRAIN_NODE", "value": "other"}]})
    assert env(made, node("amd64"))["EDGETRAIN_NODE"] == "edge-a"
