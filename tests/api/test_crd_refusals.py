"""Every manifest in crds/invalid is refused, for the reason that its header expects."""

from pathlib import Path

import pytest
import yaml

from edgetrain_protocol.crd import FILES
from edgetrain_protocol.rules import VALIDATIONS
from tests.support.apiserver import ApiServer

ROOT = Path(__file__).parents[2]
INVALID = sorted((ROOT / "crds" / "invalid").glob("*.yaml"))
EXPECT = "# expect: "
KIND_OF_VALUE = '"object": '
"""What older API servers put before a rule's message where newer ones put the value, or nothing."""


def expected(path: Path) -> list[str]:
    return [line.removeprefix(EXPECT) for line in path.read_text().splitlines() if line.startswith(EXPECT)]


@pytest.mark.parametrize("path", INVALID, ids=lambda p: p.stem)
def test_refused_with_its_message(api: ApiServer, namespace: str, path: Path) -> None:
    done = api.kubectl("create", "-n", namespace, "--validate=strict", "-f", str(path), check=False)
    assert done.returncode != 0, "accepted"
    assert expected(path), "the manifest does not say what to expect"
    for message in expected(path):
        assert message in done.stderr.replace(KIND_OF_VALUE, "")


def test_every_rule_has_a_manifest() -> None:
    """Rules about changes are tried in test_crd_changes.py."""
    rules: dict[str, str] = {}

    def collect(node: object) -> None:
        if isinstance(node, dict):
            rules.update(
                {r["message"]: r["rule"] for r in node.get(VALIDATIONS, ()) if "oldSelf" not in r["rule"]}
            )
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                collect(child)

    collect([definition() for definition in FILES.values()])
    shown = "\n".join(message for path in INVALID for message in expected(path))
    assert [message for message in rules if message not in shown] == []


def examples() -> list[Path]:
    return sorted(p for p in (ROOT / "examples").rglob("*.yaml") if "kind: EdgeTraining" in p.read_text())


@pytest.mark.parametrize("path", examples(), ids=lambda p: p.stem)
def test_examples_are_accepted(api: ApiServer, namespace: str, path: Path) -> None:
    api.kubectl("create", "-n", namespace, "--validate=strict", "-f", str(path))


def test_a_job_with_everything_in_it_is_accepted(api: ApiServer, namespace: str) -> None:
    selector = {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
    env = [
        {"name": "MODE", "value": "x"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    toleration = {"key": "edge", "operator": "Exists", "effect": "NoSchedule"}
    resources = {"limits": {"cpu": 1, "memory": "512Mi"}, "requests": {"cpu": "250m"}}
    spec = {
        "program": {"image": "i", "command": ["python"], "args": ["-m", "x"], "env": env},
        "nodes": {"selector": selector, "exclude": ["edge-9"], "min": 2, "max": 4},
        "scheduling": {"queue": "fleet", "priority": -5},
        "overrides": [
            {
                "selector": selector,
                "image": "j",
                "env": env,
                "resources": resources,
                "tolerations": [toleration],
            }
        ],
        "template": {
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
            "spec": {
                "containers": [
                    {
                        "name": "trainer",
                        "resources": resources,
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                    },
                    {"name": "profiler", "env": env},
                ],
                "volumes": [{"name": "v", "configMap": {"name": "c"}}],
                "tolerations": [toleration],
                "imagePullSecrets": [{"name": "p"}],
                "priorityClassName": "low",
                "runtimeClassName": "nvidia",
                "securityContext": {
                    "runAsUser": 1000,
                    "runAsGroup": 1000,
                    "fsGroup": 1000,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "supplementalGroups": [2000],
                    "seccompProfile": {"type": "Localhost", "localhostProfile": "edge.json"},
                },
                "terminationGracePeriodSeconds": 300,
                "initContainers": [
                    {
                        "name": "fetch",
                        "image": "f",
                        "command": ["get"],
                        "args": ["it"],
                        "env": env,
                        "resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"nvidia.com/gpu": "1"}},
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                        "securityContext": {
                            "runAsUser": 0,
                            "runAsGroup": 0,
                            "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
                            "readOnlyRootFilesystem": False,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "restartPolicy": "Always",
                    }
                ],
            },
        },
        "storage": {"checkpoint": {"claim": {"size": 1073741824}}, "model": {"volume": {"emptyDir": {}}}},
        "strategy": {
            "preset": "ddp",
            "reduction": "star",
            "shares": "equal",
            "checkpointEverySeconds": 5,
            "roundPolicy": "steps",
            "roundLimit": 1000,
            "mergeWeights": "fedNova",
            "outer": "nesterov",
            "outerLearningRate": 1,
            "outerMomentum": 0.9,
        },
        "elastic": {
            "growth": "doubling",
            "joinDelaySeconds": 1,
            "leaveGraceSeconds": 2,
            "offlineGraceSeconds": 3,
        },
        "runPolicy": {
            "activeDeadlineSeconds": 60,
            "startDeadlineSeconds": 59,
            "stopWhen": [
                {"metric": {"name": "accuracy", "atLeast": 0.97}},
                {"metric": {"name": "loss", "atMost": 0}},
                {"epochs": 5},
                {"steps": 1000},
                {"trainingSeconds": 3600},
            ],
            "backoffLimit": 0,
            "failureRules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "trainer", "operator": "NotIn", "values": [1, 2]},
                },
                {"action": "Count", "onReasons": ["OOMKilled", "Evicted"]},
            ],
            "ttlSecondsAfterFinished": 0,
        },
    }
    job = {
        "apiVersion": "edgetrain.io/v1alpha1",
        "kind": "EdgeTrainingJob",
        "metadata": {"name": "all"},
        "spec": spec,
    }
    api.kubectl("create", "-n", namespace, "--validate=strict", "-f", "-", stdin=yaml.safe_dump(job))
