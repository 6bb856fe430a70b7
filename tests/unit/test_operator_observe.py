"""Objects of the Kubernetes API as they come, and the small views made of them; settings; the node table."""

from typing import Any

import pytest

from edgetrain_operator.core.model import ContainerEnd
from edgetrain_operator.core.observe import node_view, own, pod_view, time_text, unix_time
from edgetrain_operator.runtime.node_table import NodeTable
from edgetrain_operator.settings import BadSetting, Settings

REQUIRED = {
    "EDGETRAIN_OPERATOR_TRAINER_IMAGE": "i:1",
    "EDGETRAIN_OPERATOR_FLEET_ADDRESS": "fleet.example:443",
}


def raw_node(name: str = "a", ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/edge": ""}},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "nodeInfo": {"kubeletVersion": "v1.36.3"},
        },
    }


def raw_pod(**status: Any) -> dict[str, Any]:
    meta = {
        "name": "p",
        "uid": "u",
        "annotations": {"edgetrain.io/node": "a"},
        "labels": {"edgetrain.io/attempt": "3"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"metadata": meta, "status": status}


def trainer(restarts: int = 0, **states: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "trainer", "restartCount": restarts, **states}]}


def test_times_go_both_ways() -> None:
    assert time_text(unix_time("2026-01-02T03:04:05Z")) == "2026-01-02T03:04:05Z"
    assert unix_time(None) == 0.0


@pytest.mark.parametrize(("ready", "is_ready"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_node_that_is_not_heard_is_not_ready(ready: str, is_ready: bool) -> None:
    assert node_view(raw_node(ready=ready)).ready is is_ready


def test_a_node_that_has_just_registered_is_read_too() -> None:
    view = node_view({"metadata": {"name": "a"}})
    assert (view.ready, view.taints, view.kubelet) == (False, (), "")


CRASHES = [
    (1, True),
    (134, True),
    (139, True),
    (0, False),
    (137, False),
    (143, False),
    (255, False),
]


@pytest.mark.parametrize(("code", "counts"), CRASHES)
def test_only_the_programs_own_failures_count(code: int, counts: bool) -> None:
    """Not a SIGKILL from outside, and not the node's power."""
    pod = pod_view(raw_pod(**trainer(4, lastState={"terminated": {"exitCode": code, "reason": "Error"}})))
    assert pod.crashes == (4 if counts else 0)


def test_running_out_of_memory_is_the_programs_failure() -> None:
    end = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    pod = pod_view(raw_pod(**trainer(2, lastState=end)))
    assert pod.crashes == 2
    assert [(end.container, end.reason) for end in pod.ends] == [("trainer", "OOMKilled")]


def test_ends_are_told_of_each_container_with_its_limit_and_which_start_it_was() -> None:
    status = trainer(2, state={"running": {}}, lastState={"terminated": {"exitCode": 1, "message": "no\n"}})
    status["initContainerStatuses"] = [
        {"name": "profiler", "restartCount": 4, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    ]
    raw = raw_pod(**status)
    raw["spec"] = {"containers": [{"name": "trainer", "resources": {"limits": {"memory": "128Mi"}}}]}
    assert pod_view(raw).ends == (
        ContainerEnd("trainer", "", 1, "no", 1, "128Mi"),
        ContainerEnd("profiler", "Error", 3, "", 4),
    )
    assert pod_view(raw).trouble is None and not pod_view(raw).idle


@pytest.mark.parametrize("code", [0, 137, 143, 255])
def test_ends_from_outside_and_good_ones_say_nothing(code: int) -> None:
    assert not pod_view(raw_pod(**trainer(1, lastState={"terminated": {"exitCode": code}}))).ends
    well = {"terminated": {"exitCode": 0, "reason": "OOMKilled"}}
    assert not pod_view(raw_pod(**trainer(0, state=well))).ends, "a child of it was, and it got over it"


def test_a_pod_that_its_node_puts_out_says_why() -> None:
    raw = raw_pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert pod_view(raw).ends == (
        ContainerEnd("pod", "Evicted", message="The node was low on resource: memory."),
    )
    assert not pod_view(raw_pod(phase="Failed")).ends


def test_a_trainer_is_idle_between_its_starts_alone() -> None:
    waiting, ended = {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"exitCode": 1}}
    assert pod_view(raw_pod(**trainer(1, state=waiting, lastState=ended))).idle
    assert pod_view(raw_pod(**trainer(1, state=ended))).idle
    assert not pod_view(raw_pod(**trainer(1, state={"running": {}}, lastState=ended))).idle
    assert not pod_view(raw_pod(**trainer(state={"waiting": {"reason": "ContainerCreating"}}))).idle


def test_the_address_that_a_pod_dials_is_its_own() -> None:
    raw = raw_pod()
    raw["spec"] = {
        "containers": [{"name": "trainer", "env": [{"name": "EDGETRAIN_FLEET_ADDRESS", "value": "old:1"}]}]
    }
    assert pod_view(raw).fleet_address == "old:1"


def test_waiting_is_trouble_only_where_something_is_wrong() -> None:
    for reason, trouble in (
        ("ContainerCreating", False),
        ("CrashLoopBackOff", False),
        ("ErrImagePull", True),
    ):
        pod = pod_view(raw_pod(**trainer(state={"waiting": {"reason": reason, "message": "m"}})))
        assert (pod.trouble is not None) is trouble, reason


def test_a_program_of_another_architecture_shows_in_its_log_alone() -> None:
    """The runtime has started it; the kernel would not. The kubelet gives the log's end as message."""
    end = {"exitCode": 1, "reason": "Error", "message": "exec /usr/bin/python: exec format error"}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    pod = pod_view(raw_pod(**trainer(state=waiting, lastState={"terminated": end})))
    assert pod.trouble is not None and "exec format error" in pod.trouble.message
    own = {"terminated": end | {"message": "ValueError: my own mistake"}}
    assert pod_view(raw_pod(**trainer(state=waiting, lastState=own))).trouble is None


def test_a_pod_that_cannot_be_scheduled_says_why() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "cpu"}]
    trouble = pod_view(raw_pod(phase="Pending", conditions=conditions)).trouble
    assert trouble is not None and (trouble.reason, trouble.message) == ("Unschedulable", "cpu")


def test_only_what_this_very_job_controls_is_its_own() -> None:
    mine = {"metadata": {"ownerReferences": [{"uid": "u", "controller": True}]}}
    other = {"metadata": {"ownerReferences": [{"uid": "v", "controller": True}]}}
    not_controlling = {"metadata": {"ownerReferences": [{"uid": "u"}]}}
    assert own([mine, other, not_controlling, {"metadata": {}}], "u") == [mine]


@pytest.mark.parametrize(
    ("said", "held"), [("2048", 2048), ("3Ki", 3072), ("5Gi", 5 << 30), ("5000m", 0), ("1e3", 0), (None, 0)]
)
def test_memory_is_read_as_kubelets_write_it(said: str | None, held: int) -> None:
    raw = raw_node()
    raw["status"]["allocatable"] = {"memory": said} if said else {}
    assert node_view(raw).memory == held


def test_the_table_tells_of_changes_that_matter_and_forgets_what_is_gone() -> None:
    table = NodeTable()
    assert table.put(raw_node())
    heartbeat = raw_node()
    heartbeat["status"]["images"] = ["something new"]
    assert table.put(heartbeat) is None
    change = table.put(raw_node(unschedulable=True))
    assert change and change[0] and change[1] and change[1].unschedulable
    table.put(raw_node("b"))
    gone = table.sweep([raw_node("b")])
    assert [(before.name if before else "", after) for before, after in gone] == [("a", None)]
    assert set(table.nodes) == {"b"}


def test_settings_have_defaults_for_all_that_may_be_left_out() -> None:
    lists = {"EDGETRAIN_OPERATOR_NAMESPACES": "a, b", "EDGETRAIN_OPERATOR_JOBS_SHARED_QUEUES": "fleet,lab"}
    settings = Settings.from_env(REQUIRED | lists)
    assert settings.namespaces == ("a", "b") and settings.shared_queues == ("fleet", "lab")
    assert (settings.fleet_port, settings.metrics_port, settings.workers) == (8443, 8080, 4)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("TRAINER_IMAGE", "", "TRAINER_IMAGE is not set"),
        ("FLEET_ADDRESS", "fleet", "must be host:port"),
        ("WORKERS", "many", "a number from 1 to 64"),
        ("FLEET_PORT", "70000", "a number from 0 to 65535"),
        ("PULL_POLICY", "Sometimes", "IfNotPresent"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
        ("JOBS_ALLOWED", '{"registrys": []}', "(?s)jobs.allowed.*registrys"),
        ("JOBS_ALLOWED", '{"secrets": "all"}', "(?s)jobs.allowed.*secrets"),
        ("JOBS_NETWORK_POLICY", '{"from": 5}', "(?s)jobs.networkPolicy.*from"),
        ("TRAINER_RESOURCES", "512Mi", "a container's resources"),
        ("TRAINER_RESOURCES", '{"limits": "512Mi"}', "a container's resources"),
        ("TRAINER_MEMORY_PERCENT", "101", "from 0 to 100"),
        ("TRAINER_ENV", '[{"name": "A", "values": "b"}]', "(?s)container's environment.*values"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_may_be(name: str, value: str, text: str) -> None:
    with pytest.raises(BadSetting, match=text):
        Settings.from_env(REQUIRED | {f"EDGETRAIN_OPERATOR_{name}": value})
