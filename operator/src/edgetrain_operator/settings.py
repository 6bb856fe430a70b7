"""The operator's settings, all from its environment."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from edgetrain_operator.core.allowed import Allowed
from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.network_policy import NetworkPolicy
from edgetrain_protocol.base import Document
from edgetrain_protocol.names import FLEET_PORT, OPERATOR_METRICS_PORT
from edgetrain_protocol.pods import EnvVar

PREFIX = "EDGETRAIN_OPERATOR_"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
D = TypeVar("D", bound=Document)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class BadSetting(ValueError):
    """A setting that cannot be used; the text names the variable and what it may be."""


@dataclass(frozen=True)
class Settings:
    trainer_image: str
    """Image of workers whose job names none: TRAINER_IMAGE. Required."""
    fleet_address: str
    """host:port that workers dial: FLEET_ADDRESS. A Service inside the cluster, a NodePort, LoadBalancer or
    tunnel outside. Required, since only the installation knows it."""
    own_namespace: str = "edgetrain-system"
    """Where the Lease and the keyring's Secret are: NAMESPACE; the pod's own where unset."""
    namespaces: tuple[str, ...] = ()
    """Where jobs are looked after: NAMESPACES, separated by commas; all where empty."""
    identity: str = field(default_factory=socket.gethostname)
    """This replica's name in the Lease: POD_NAME; the host's name where unset."""
    own_address: str = "127.0.0.1"
    """Under which the other replicas reach this one: POD_IP."""
    lease_name: str = "edgetrain-operator"
    """LEASE_NAME; another for a second installation in the same namespace."""
    keyring_secret: str = "edgetrain-operator-keyring"
    """The Secret with the operator's CA and token keys: KEYRING_SECRET."""
    tls_dir: Path | None = None
    """Where a certificate for the fleet API is mounted that others issue and renew, as tls.crt, tls.key and
    ca.crt: TLS_DIR. The operator's own CA issues one where unset."""
    trainer_resources: Mapping[str, Any] = field(default_factory=dict)
    """Of trainers whose job says nothing, as a container's resources in JSON: TRAINER_RESOURCES."""
    trainer_memory_percent: int = 80
    """Their memory limit where nothing is said of memory, of what the node has for pods:
    TRAINER_MEMORY_PERCENT. 0 for none."""
    trainer_env: tuple[EnvVar, ...] = ()
    """Environment of all containers of workers, where a job does not say otherwise, as in a container and in
    JSON: TRAINER_ENV."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """Of the workers' image: PULL_POLICY. Not Always: a dark edge node could not start its pod again."""
    allowed: Allowed = field(default_factory=Allowed)
    """What jobs may ask for, as JSON: JOBS_ALLOWED."""
    shared_queues: tuple[str, ...] = ()
    """Queues that are one for all namespaces: JOBS_SHARED_QUEUES, separated by commas. Others are each
    namespace's own."""
    feature_gates: FeatureGates = field(default_factory=FeatureGates)
    """Which experimental features there are, as JSON: FEATURE_GATES."""
    network_policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    """Who may dial workers, as JSON: JOBS_NETWORK_POLICY."""
    kueue: bool = False
    """Whether jobs may queue by Kueue, of which CRDs and rights are there then: KUEUE, true or false."""
    fleet_port: int = FLEET_PORT
    """FLEET_PORT; on all addresses."""
    metrics_port: int = OPERATOR_METRICS_PORT
    """METRICS_PORT; /metrics and /healthz, on all addresses. 0 takes a free one."""
    metrics_token_file: Path | None = None
    """A file with the bearer token for /metrics: METRICS_TOKEN_FILE. Where unset, anybody may read them."""
    workers: int = 4
    """Jobs reconciled at the same time: WORKERS. A reconcile mostly waits for the API server."""
    resync_seconds: float = 300.0
    """Between full lists of jobs and nodes, for what the watches missed: RESYNC_SECONDS."""
    log_level: str = "INFO"
    """LOG_LEVEL."""
    remote_write_url: str = ""
    """Where late reports are written by Prometheus remote write: REMOTE_WRITE_URL. Nowhere where empty."""
    remote_write_token_file: Path | None = None
    """A file with a bearer token for it: REMOTE_WRITE_TOKEN_FILE."""
    kubeconfig: str = ""
    """Outside a cluster: the variable KUBECONFIG, as for kubectl."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the variables, each named EDGETRAIN_OPERATOR_ and what its field's description says.

        Raises:
            BadSetting: a required one is missing, or one is not what it should be.
        """
        given = {key.removeprefix(PREFIX): value for key, value in env.items() if key.startswith(PREFIX)}
        return cls(
            trainer_image=_required(given, "TRAINER_IMAGE", "the image of the workers"),
            fleet_address=_host_port(_required(given, "FLEET_ADDRESS", "host:port that workers dial")),
            own_namespace=given.get("NAMESPACE") or _pod_namespace(),
            namespaces=_names(given, "NAMESPACES"),
            identity=given.get("POD_NAME") or socket.gethostname(),
            own_address=given.get("POD_IP") or "127.0.0.1",
            lease_name=given.get("LEASE_NAME") or cls.lease_name,
            keyring_secret=given.get("KEYRING_SECRET") or cls.keyring_secret,
            tls_dir=Path(given["TLS_DIR"]) if given.get("TLS_DIR") else None,
            trainer_resources=_resources(given, "TRAINER_RESOURCES"),
            trainer_memory_percent=int(
                _number(given, "TRAINER_MEMORY_PERCENT", cls.trainer_memory_percent, 0, 100)
            ),
            trainer_env=_environment(given, "TRAINER_ENV"),
            pull_policy=_pull_policy(given.get("PULL_POLICY") or cls.pull_policy),
            allowed=_values(given, "JOBS_ALLOWED", "jobs.allowed", Allowed),
            shared_queues=_names(given, "JOBS_SHARED_QUEUES"),
            feature_gates=_values(given, "FEATURE_GATES", "featureGates", FeatureGates),
            network_policy=_values(given, "JOBS_NETWORK_POLICY", "jobs.networkPolicy", NetworkPolicy),
            kueue=_true(given, "KUEUE"),
            fleet_port=int(_number(given, "FLEET_PORT", FLEET_PORT, 0, 65535)),
            metrics_port=int(_number(given, "METRICS_PORT", OPERATOR_METRICS_PORT, 0, 65535)),
            metrics_token_file=Path(file) if (file := given.get("METRICS_TOKEN_FILE")) else None,
            workers=int(_number(given, "WORKERS", cls.workers, 1, 64)),
            resync_seconds=_number(given, "RESYNC_SECONDS", cls.resync_seconds, 1, 86400),
            log_level=_log_level(given.get("LOG_LEVEL") or cls.log_level),
            remote_write_url=_url(given.get("REMOTE_WRITE_URL") or ""),
            remote_write_token_file=Path(file) if (file := given.get("REMOTE_WRITE_TOKEN_FILE")) else None,
            kubeconfig=env.get("KUBECONFIG", ""),
        )


def _required(given: Mapping[str, str], name: str, what: str) -> str:
    if not given.get(name):
        raise BadSetting(f"{PREFIX}{name} is not set: give it {what}")
    return given[name]


def _names(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(n for n in given.get(name, "").replace(" ", "").split(",") if n)


def _host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit():
        raise BadSetting(f"{PREFIX}FLEET_ADDRESS is {value!r}: it must be host:port")
    return value


def _url(value: str) -> str:
    if value and urlsplit(value).scheme not in ("http", "https"):
        raise BadSetting(f"{PREFIX}REMOTE_WRITE_URL is {value!r}: it must begin with http:// or https://")
    return value


def _resources(given: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(given.get(name) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(amounts, dict) for amounts in found.values()):
        raise BadSetting(f"{PREFIX}{name} is {given[name]!r}: it must be a container's resources, in JSON")
    return found


def _environment(given: Mapping[str, str], name: str) -> tuple[EnvVar, ...]:
    try:
        return TypeAdapter(tuple[EnvVar, ...]).validate_json(given.get(name) or "[]")
    except ValidationError as error:
        raise BadSetting(f"{PREFIX}{name} is no container's environment, in JSON: {error}") from error


def _values(given: Mapping[str, str], name: str, path: str, kind: type[D]) -> D:
    try:
        return kind.model_validate_json(given.get(name) or "{}")
    except ValidationError as error:
        raise BadSetting(f"{PREFIX}{name} is not as the chart's values {path}: {error}") from error


def _true(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name) or "false"
    if text not in ("true", "false"):
        raise BadSetting(f"{PREFIX}{name} is {text!r}: it must be true or false")
    return text == "true"


def _number(given: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = given.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BadSetting(f"{PREFIX}{name} is {text!r}: it must be a number from {low:g} to {high:g}")
    return value


def _pull_policy(value: str) -> Literal["Always", "IfNotPresent", "Never"]:
    if value not in PULL_POLICIES:
        raise BadSetting(f"{PREFIX}PULL_POLICY is {value!r}: it must be one of {', '.join(PULL_POLICIES)}")
    return cast(Literal["Always", "IfNotPresent", "Never"], value)


def _log_level(value: str) -> str:
    if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise BadSetting(f"{PREFIX}LOG_LEVEL is {value!r}: it must be DEBUG, INFO, WARNING or ERROR")
    return value.upper()


def _pod_namespace() -> str:
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.exists() else Settings.own_namespace
