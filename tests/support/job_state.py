"""What there is of a job on the API server, apart from what differs between any two runs: names by uids,
times, versions. And what of it is there twice."""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from edgetrain_operator.core.observe import own
from edgetrain_operator.core.stored import DOCUMENT_KEY
from edgetrain_operator.kube.client import Object
from edgetrain_operator.kube.resources import (
    CLAIMS,
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    NETWORK_POLICIES,
    PODS,
    SECRETS,
)
from edgetrain_protocol.names import ATTEMPT_LABEL, COMPONENT_LABEL, NODE_ANNOTATION
from tests.support.job_world import JobWorld

KINDS = (JOBS, PODS, SECRETS, CONFIG_MAPS, CLAIMS, NETWORK_POLICIES)
DIFFERS = frozenset(
    {
        *("resourceVersion", "creationTimestamp", "managedFields"),
        *("trainedSeconds", "runningSince", "silentSince"),
    }
)
NODE = re.compile(r"\bedge-\w+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b1[6-9]\d{8}(\.\d+)?\b")

State = dict[str, Any]
"""By what each object is."""


async def state_of(world: JobWorld) -> State:
    """What a garbage collector would leave."""
    found = kept([o for kind in KINDS for o in await _list(world, kind.kind)])
    names = _names(world, found)
    told = ((_plain(_what(o), names), json.loads(_plain(json.dumps(_without(o)), names))) for o in found)
    state: State = {}
    for what, plain in told:
        state[f"{what} again" if what in state else what] = plain
    return state


async def events_of(world: JobWorld) -> Counter[str]:
    """How often each thing was told, of each node."""
    events = await _list(world, EVENTS.kind)
    return Counter(" ".join([event["reason"], *NODE.findall(event["message"])]) for event in events)


def kept(objects: Iterable[Object]) -> list[Object]:
    """Those that have no owner, or one that is kept."""
    left = list(objects)
    while True:
        uids = {o["metadata"]["uid"] for o in left}
        fewer = [o for o in left if _owners(o) is None or _owners(o) & uids]  # type: ignore[operator]
        if len(fewer) == len(left):
            return left
        left = fewer


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = sorted({*one, *other})
        return [d for k in keys for d in differences(one.get(k), other.get(k), f"{where}/{k}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for n, (a, b) in pairs for d in differences(a, b, f"{where}/{n}")]
    return [] if one == other else [f"{where}: {_short(one)} became {_short(other)}"]


def doubled(state: State) -> list[str]:
    """Children of which there is more than one."""
    living = Counter(what.split()[1] for what in state if what.startswith("pod "))
    return [what for what in state if what.endswith(" again")] + [
        n for n, count in living.items() if count > 1
    ]


async def _list(world: JobWorld, kind: str) -> list[Object]:
    resource = next(r for r in (*KINDS, EVENTS) if r.kind == kind)
    return [{"kind": kind, **raw} async for raw in world.kube.list(resource, world.namespace)]


def _owners(raw: Object) -> set[str] | None:
    owners = raw["metadata"].get("ownerReferences")
    return {owner["uid"] for owner in owners} if owners else None


def _what(raw: Object) -> str:
    meta = raw["metadata"]
    labels, node = meta.get("labels", {}), meta.get("annotations", {}).get(NODE_ANNOTATION, "")
    if raw["kind"] == PODS.kind:
        return f"pod {node} {labels[ATTEMPT_LABEL]}"
    named = meta["name"] if raw["kind"] == SECRETS.kind else labels.get(COMPONENT_LABEL, meta["name"])
    return f"{raw['kind']} {named} {node}".strip()


def _names(world: JobWorld, found: Iterable[Object]) -> dict[str, str]:
    names = {world.job_uid: "uid-of-the-job", world.namespace: "here"}
    for raw in (*world.pods.values(), *found):
        raw = {"kind": PODS.kind, **raw}
        if own([raw], world.job_uid):
            what = _what(raw)
            names |= {raw["metadata"]["uid"]: f"uid of {what}", raw["metadata"]["name"]: f"name of {what}"}
    return names


def _plain(text: str, names: Mapping[str, str]) -> str:
    for name, what in names.items():
        text = text.replace(name, what)
    return TIME.sub("0", UUID.sub("some uid", text))


def _without(raw: Object) -> Object:
    """With the documents that it holds in place of their texts."""
    data = raw.get("data", {})
    if DOCUMENT_KEY in data:
        data = json.loads(data[DOCUMENT_KEY])
    elif raw["kind"] == SECRETS.kind:
        ours = COMPONENT_LABEL in raw["metadata"].get("labels", {})
        data = {key: base64.b64decode(value).decode() for key, value in data.items() if ours}
    plain: Object = _same({**raw, "data": data})
    return plain


def _same(value: Any) -> Any:
    """Without what differs."""
    if isinstance(value, Mapping):
        return {key: _same(inner) for key, inner in value.items() if key not in DIFFERS}
    return [_same(inner) for inner in value] if isinstance(value, list) else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 160 else f"{text[:157]}..."
