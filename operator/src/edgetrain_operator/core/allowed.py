"""What a job may ask for: the platform team's word, the chart's values `jobs.allowed`.

The chart's ValidatingAdmissionPolicy says the same, in the same words, at `kubectl apply`. Here it holds also
for jobs that were there before it, and where it is not installed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from edgetrain_operator.core.naming import OWN_SECRETS
from edgetrain_operator.core.remotes import remotes
from edgetrain_protocol.base import Document
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.pods import EnvVar
from edgetrain_protocol.security import PodSecurityContext, SecurityContext
from edgetrain_protocol.template import InitContainer, TemplateContainer

SHOWN_MAX = 5
TOLD_MAX = 5
DIGEST = "@sha256:"
IDENTITIES = ("serviceAccountToken", "podCertificate")
"""Sources of a projected volume that make the pod somebody for the API server, or for others who trust it."""

Entries = tuple[str, ...]


class Allowed(Document):
    """Of each list, an entry that ends in * stands for all that begins so, one that ends in / for what is
    below it, and any other for itself. Defaults are the chart's."""

    registries: Entries = ("*",)
    """Images of programs, and of volumes, as a job writes them."""
    image_tags: bool = True
    """Images by tag, too; by digest alone where not."""
    priority_classes: Entries = ("*",)
    """The * stands for none that begins with system-."""
    runtime_classes: Entries = ("*",)
    volumes: Entries = ("*",)
    """Kinds of volumes; of kind csi, csi/DRIVER."""
    host_paths: Entries = ("/",)
    host_network: bool = True
    secrets: Entries = ("*",)
    """By environment, volume, as a storage driver's or a remote store's. The * stands for none of the
    operator's own."""
    image_pull_secrets: Entries = ("*",)
    service_account_tokens: bool = False
    """By a projected volume; a worker's pod has none by itself."""
    users: Entries = ("*",)
    """Numbers that containers may run as. The * stands for none that is root's."""
    groups: Entries = ("*",)
    """The same of groups, those of volumes too."""
    capabilities: Entries = ("NET_BIND_SERVICE",)
    """What containers may have of root's rights without being root."""
    seccomp_profiles: Entries = ("*",)
    """Types; of type Localhost, Localhost/PROFILE. The * does not stand for Unconfined."""
    labels: Entries = ("*",)
    """Keys of the template's."""
    annotations: Entries = ("*",)


@dataclass(frozen=True)
class _Rule:
    field: str
    what: str
    asked: Callable[[JobSpec], Iterable[str]]
    reserved: str = ""
    """A regular expression: what it finds, no entry stands for but one that it finds too."""
    note: str = ""

    def refused(self, spec: JobSpec, allowed: Allowed) -> Iterator[str]:
        """What is asked for and not allowed, each with how to mend it."""
        said: Entries | bool = getattr(allowed, self.field)
        entries = said if isinstance(said, tuple) else ("*",) * said
        for value in self.asked(spec):
            if not any(self._covers(entry, value) for entry in entries):
                name = Allowed.model_fields[self.field].alias
                yield (
                    f"{self.what} {value} is not allowed: jobs.allowed.{name} of the edgetrain chart is "
                    f"{_shown(said)}{self.note}: choose another, do without, or have it allowed there"
                )

    def _covers(self, entry: str, value: str) -> bool:
        if self.reserved and re.search(self.reserved, value) and not re.search(self.reserved, entry):
            return False
        if entry.endswith("*"):
            return value.startswith(entry[:-1])
        return f"{value}/".startswith(entry) if entry.endswith("/") else value == entry


def not_allowed(spec: JobSpec, allowed: Allowed) -> str:
    """What the job asks for and may not have, with how to mend it; empty where it may have it all."""
    found = list(dict.fromkeys(chain.from_iterable(rule.refused(spec, allowed) for rule in _RULES)))
    more = [f"and {len(found) - TOLD_MAX} more"] if found[TOLD_MAX:] else []
    return "; ".join([*found[:TOLD_MAX], *more])


def _shown(said: Entries | bool) -> str:
    if isinstance(said, bool):
        return "true" if said else "false"
    return f"[{', '.join([*said[:SHOWN_MAX], *(['...'] if said[SHOWN_MAX:] else [])])}]"


def _images(spec: JobSpec) -> Iterator[str]:
    yield from filter(None, [spec.program.image, *(override.image for override in spec.overrides)])
    yield from filter(None, (container.image for container in spec.template.spec.init_containers))
    yield from _texts(_volumes(spec), "image", "reference")


def _kinds(spec: JobSpec) -> Iterator[str]:
    for volume in _volumes(spec):
        yield from (kind for kind in volume if kind not in ("name", "csi"))
    yield from (f"csi/{driver}" for driver in _texts(_volumes(spec), "csi", "driver"))


def _secrets(spec: JobSpec) -> Iterator[str]:
    volumes, sources = _volumes(spec), _projected(spec)
    yield from _texts((v.value_from for v in _env(spec) if v.value_from), "secretKeyRef", "name")
    yield from _texts(volumes, "secret", "secretName")
    yield from _texts(sources, "secret", "name")
    yield from _texts(volumes, "csi", "nodePublishSecretRef", "name")
    yield from _texts(volumes, "iscsi", "secretRef", "name")
    yield from (remote.secret for remote in remotes(spec) if remote.secret)


def _identities(spec: JobSpec) -> Iterator[str]:
    return (kind for source in _projected(spec) for kind in IDENTITIES if kind in source)


def _env(spec: JobSpec) -> Iterator[EnvVar]:
    yield from spec.program.env
    yield from (variable for override in spec.overrides for variable in override.env)
    yield from (variable for container in _containers(spec) for variable in container.env)


def _containers(spec: JobSpec) -> list[TemplateContainer | InitContainer]:
    return [*spec.template.spec.containers, *spec.template.spec.init_containers]


def _contexts(spec: JobSpec) -> list[PodSecurityContext | SecurityContext]:
    found = [spec.template.spec.security_context, *(c.security_context for c in _containers(spec))]
    return [context for context in found if context]


def _users(spec: JobSpec) -> Iterator[str]:
    return (str(c.run_as_user) for c in _contexts(spec) if c.run_as_user is not None)


def _groups(spec: JobSpec) -> Iterator[str]:
    contexts = _contexts(spec)
    pods = [c for c in contexts if isinstance(c, PodSecurityContext)]
    yield from (str(c.run_as_group) for c in contexts if c.run_as_group is not None)
    yield from (str(c.fs_group) for c in pods if c.fs_group is not None)
    yield from (str(group) for c in pods for group in c.supplemental_groups)


def _capabilities(spec: JobSpec) -> Iterator[str]:
    contexts = (c.security_context for c in _containers(spec) if c.security_context)
    return (name for c in contexts if c.capabilities for name in c.capabilities.add)


def _seccomp_profiles(spec: JobSpec) -> Iterator[str]:
    for profile in (c.seccomp_profile for c in _contexts(spec) if c.seccomp_profile):
        below = f"/{profile.localhost_profile}" if profile.localhost_profile else ""
        yield f"{profile.type}{below}"


def _volumes(spec: JobSpec) -> list[dict[str, Any]]:
    stores = (spec.storage.checkpoint, spec.storage.model, spec.storage.data)
    return [*spec.template.spec.volumes, *(store.volume for store in stores if store and store.volume)]


def _projected(spec: JobSpec) -> list[dict[str, Any]]:
    found = (_at(volume, "projected", "sources") for volume in _volumes(spec))
    return [s for sources in found if isinstance(sources, list) for s in sources if isinstance(s, dict)]


def _texts(trees: Iterable[dict[str, Any]], *path: str) -> Iterator[str]:
    """What is no text there is none to the API server either: it takes no such pod."""
    return (found for tree in trees if isinstance(found := _at(tree, *path), str))


def _at(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _given(*values: str | None) -> list[str]:
    return [value for value in values if value]


_RULES = (
    _Rule("registries", "image", _images),
    _Rule(
        "image_tags",
        "image without a digest",
        lambda spec: (image for image in _images(spec) if DIGEST not in image),
    ),
    _Rule(
        "priority_classes",
        "priority class",
        lambda spec: _given(spec.template.spec.priority_class_name),
        reserved="^system-",
        note=", where * stands for none that begins with system-",
    ),
    _Rule("runtime_classes", "runtime class", lambda spec: _given(spec.template.spec.runtime_class_name)),
    _Rule("volumes", "volume of kind", _kinds),
    _Rule("host_paths", "host path", lambda spec: _texts(_volumes(spec), "hostPath", "path")),
    _Rule("host_network", "hostNetwork", lambda spec: ["true"] if spec.template.spec.host_network else []),
    _Rule(
        "secrets",
        "Secret",
        _secrets,
        reserved=OWN_SECRETS,
        note=", where * stands for none of the operator's own",
    ),
    _Rule(
        "image_pull_secrets",
        "pull secret",
        lambda spec: _texts(spec.template.spec.image_pull_secrets, "name"),
    ),
    _Rule("service_account_tokens", "projected source", _identities),
    _Rule("users", "user", _users, reserved="^0$", note=", where * does not stand for 0, which is root"),
    _Rule("groups", "group", _groups, reserved="^0$", note=", where * does not stand for 0, which is root's"),
    _Rule("capabilities", "capability", _capabilities),
    _Rule(
        "seccomp_profiles",
        "seccomp profile",
        _seccomp_profiles,
        reserved="^Unconfined$",
        note=", where * does not stand for Unconfined",
    ),
    _Rule("labels", "label", lambda spec: spec.template.metadata.labels),
    _Rule("annotations", "annotation", lambda spec: spec.template.metadata.annotations),
)
