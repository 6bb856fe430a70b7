"""Rights as RBAC grants them, and as an API server's audit log shows them used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgelab.lab import Lab

Json = dict[str, Any]


class Right(NamedTuple):
    """One verb on one resource. An empty namespace or name stands for all of them."""

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def covers(self, use: "Right") -> bool:
        """Whether a request is what this right is for."""
        same = (self.group, self.resource, self.verb) == (use.group, use.resource, use.verb)
        return same and self.namespace in ("", use.namespace) and self.name in ("", use.name)


def granted(lab: Lab, account: str, namespace: str) -> set[Right]:
    """What is bound to a ServiceAccount, taken apart into single verbs."""
    found: set[Right] = set()
    for kind in ("clusterrolebinding", "rolebinding"):
        for binding in _items(lab, kind):
            subjects = binding.get("subjects") or ()
            if any((s["name"], s.get("namespace")) == (account, namespace) for s in subjects):
                where = binding["metadata"].get("namespace", "")
                found.update(_of_role(lab, binding["roleRef"], where))
    return found


def requests(audit_log: Path, user: str) -> Iterator[tuple[Right, Json]]:
    """The user's requests for resources, each with its whole audit event."""
    with audit_log.open() as lines:
        for line in lines:
            event = json.loads(line)
            about = event.get("objectRef") or {}
            # A request that gave up before it was known whose it is has no name.
            if event["user"].get("username") == user and "resource" in about:
                yield _use(event["verb"], about), event


def refused(event: Json) -> bool:
    """Refused for want of a right; quota and Pod Security answer 403 as well, but say `allow` here."""
    return bool(event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid")


def _use(verb: str, about: Json) -> Right:
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    return Right(about.get("apiGroup", ""), resource, verb, about.get("namespace", ""), about.get("name", ""))


def _of_role(lab: Lab, reference: Json, namespace: str) -> Iterator[Right]:
    within = ("-n", namespace) if reference["kind"] == "Role" else ()
    role = json.loads(lab.kubectl(*within, "get", reference["kind"], reference["name"], "-o", "json"))
    for rule in role["rules"]:
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames") or [""]:
                        yield Right(group, resource, verb, namespace, name)


def _items(lab: Lab, kind: str) -> list[Json]:
    return list(json.loads(lab.kubectl("get", kind, "-A", "-o", "json"))["items"])
