"""Names of what the operator makes. Each ends in a hash, so that no name is used for two things, ever."""

import hashlib
import json
from functools import lru_cache
from typing import Any

from edgetrain_protocol.identity import worker_of

NAME_MAX = 63
"""A pod's name becomes its host name, which DNS cuts here."""


def digest(*parts: object) -> str:
    """Ten hex digits over the parts; the separator keeps ("a", "bc") from meeting ("ab", "c")."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:10]


@lru_cache(maxsize=1 << 14)
def worker_name(node: str) -> str:
    """The name of a node's worker through all its pods. A node's own may be longer than a label's 63."""
    return worker_of(digest(node))


def holder_name(worker: str, disk: str, lineage: int) -> str:
    """Of a disk that the log of rounds is kept on, by its identity: another lineage has another log."""
    return f"{worker}-{digest(disk, lineage)[:8]}"


def child_name(job_name: str, *parts: object) -> str:
    """A readable head of the job's name, and a hash of what tells this child from all others."""
    tail = digest(*parts)
    head = job_name[: NAME_MAX - len(tail) - 1].rstrip("-.")
    return f"{head.replace('.', '-')}-{tail}"


def pod_name(job_name: str, job_uid: str, node: str, attempt: int) -> str:
    return child_name(job_name, job_uid, node, attempt)


OWN_SECRETS = r"-[0-9a-f]{10}-identity$|-operator-keyring$|-fleet-tls$"
"""Names of the pods' identities, and of what the chart has the operator keep; a regular expression."""


def identity_secret_name(pod: str) -> str:
    """Known before the pod is, whose uid is in it; no pod's name is used twice."""
    return f"{pod}-identity"


def ca_config_map_name(job_name: str, job_uid: str) -> str:
    return child_name(job_name, job_uid, "ca")


def plan_config_map_name(job_name: str, job_uid: str) -> str:
    return child_name(job_name, job_uid, "plan")


def network_policy_name(job_name: str, job_uid: str, spec: dict[str, Any]) -> str:
    """By what it says: where the chart's values have changed, another is made beside it, none is altered."""
    return child_name(job_name, job_uid, "network", json.dumps(spec, sort_keys=True))


def claim_name(job_name: str, job_uid: str, node: str, purpose: str) -> str:
    """No attempt in it: the claim outlives the pod."""
    return child_name(job_name, job_uid, node, purpose)
