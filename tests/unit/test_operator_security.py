"""As whom workers' containers run, by what a job says and what the chart allows."""

import pytest

from edgetrain_operator.core.allowed import Allowed, not_allowed
from edgetrain_protocol.job import JobSpec
from tests.support.manifests import containers, on, spec_of

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def test_a_pod_passes_restricted_where_nothing_is_said() -> None:
    spec = spec_of()
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert [c["securityContext"] for c in containers(spec).values()] == [RESTRICTED] * 2


def test_a_pod_runs_as_whoever_owns_its_volumes() -> None:
    says = {
        "runAsUser": 1000,
        "fsGroup": 2000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "supplementalGroups": [3000],
    }
    found = spec_of({"securityContext": says})["securityContext"]
    assert found.items() >= {**says, "runAsNonRoot": True, "runAsGroup": 65532}.items()
    assert found["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_container_may_differ_from_its_pod_and_keeps_what_it_does_not_name() -> None:
    says = {"runAsUser": 1000, "capabilities": {"add": ["NET_BIND_SERVICE"]}, "readOnlyRootFilesystem": False}
    found = containers(spec_of(on("trainer", securityContext=says)))
    assert found["trainer"]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": False,
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
    }
    assert found["profiler"]["securityContext"] == RESTRICTED


def test_root_is_not_told_to_be_nobody() -> None:
    """The kubelet would not start it; whether it may be root is the chart's and the namespace's to say."""
    assert spec_of({"securityContext": {"runAsUser": 0}})["securityContext"]["runAsNonRoot"] is False
    init = {"initContainers": [{"name": "chown", "securityContext": {"runAsUser": 0}}]}
    spec = spec_of(init)
    assert containers(spec)["chown"]["securityContext"]["runAsNonRoot"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("users", "taken"), [(["*"], False), (["0"], True), (["1000", "0"], True), ([], False)]
)
def test_root_has_to_be_named_by_the_chart(users: list[str], taken: bool) -> None:
    spec = JobSpec.model_validate({"template": {"spec": {"securityContext": {"runAsUser": 0}}}})
    assert (not_allowed(spec, Allowed.model_validate({"users": users})) == "") is taken
