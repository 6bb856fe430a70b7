"""As whom a worker's containers run: what passes Pod Security `restricted`, and then what the job says."""

from typing import Any

from edgetrain_protocol.security import PodSecurityContext, SecurityContext

USER = 65532


def of_pod(wish: PodSecurityContext | None) -> dict[str, Any]:
    """The pod's securityContext."""
    said = _said(wish)
    return {
        "runAsNonRoot": said.get("runAsUser") != 0,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
        **said,
    }


def of_container(wish: SecurityContext | None) -> dict[str, Any]:
    """A container's; without a user of its own it has the pod's, and what that says of root."""
    said = _said(wish)
    root = {"runAsNonRoot": said["runAsUser"] != 0} if "runAsUser" in said else {}
    capabilities = {**(said.get("capabilities") or {}), "drop": ["ALL"]}
    base = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    return {**base, **root, **said, "capabilities": capabilities}


def _said(wish: PodSecurityContext | SecurityContext | None) -> dict[str, Any]:
    return wish.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True) if wish else {}
