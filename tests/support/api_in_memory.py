"""What of an API server the operator uses, in memory: names, uids, versions, deletions, and of
validation the values of labels."""

import copy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from edgetrain_operator.core.observe import time_text
from edgetrain_operator.kube.client import Kube, Object
from edgetrain_operator.kube.errors import from_status

LABEL = "(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?"
"""Of a label's value, a regular expression."""
APPLIED = ("configmaps", "edgetrainingjobs")
"""All of whose fields are the operator's: what it no longer says is gone."""
READ = ("uid", "resourceVersion")
"""By which a write says what it was made of."""
Place = tuple[str, str, str]
"""Plural, namespace, name."""


class KubeInMemory(Kube):
    """Holds what was put into it and what the operator makes of that. `writes` counts what changed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(api=None)
        self._clock = clock
        self.objects: dict[Place, Object] = {}
        self.events: list[Object] = []
        self.made: list[Object] = []
        """Pods, as they were asked for."""
        self.writes = 0

    def put(self, plural: str, raw: Object) -> None:
        meta = raw["metadata"]
        self.objects[plural, meta.get("namespace", ""), meta["name"]] = raw

    def all(self, plural: str) -> list[Object]:
        return [raw for place, raw in self.objects.items() if place[0] == plural]

    def remove(self, plural: str, raw: Object) -> None:
        meta = raw["metadata"]
        del self.objects[plural, meta.get("namespace", ""), meta["name"]]

    async def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, content_type: str
    ) -> Object:
        plural, namespace, name = _parts(path)
        place = (plural, namespace, name)
        match method:
            case "GET" if name:
                return copy.deepcopy(self._there(place))
            case "GET":
                found = [raw for raw in self.all(plural) if _selected(raw, (query or {})["labelSelector"])]
                return {"items": copy.deepcopy(found), "metadata": {}}
        # As it goes over the wire, which has no numbers that are none.
        sent = json.loads(json.dumps(body, allow_nan=False))
        match method:
            case "POST":
                return self._create(plural, namespace, sent)
            case "PUT":
                return self._replace(place, sent)
            case "DELETE":
                return self._delete(place, sent["preconditions"]["uid"])
            case _:
                return self._merge(place, sent)

    def _there(self, place: Place) -> Object:
        if place not in self.objects:
            raise _error(404, "NotFound", f"{place} is not there")
        return self.objects[place]

    def _create(self, plural: str, namespace: str, body: Object) -> Object:
        if plural == "events":
            self.events.append(body)
            return body
        place = (plural, namespace, body["metadata"]["name"])
        if place in self.objects:
            raise _error(409, "AlreadyExists", f"{place} is there")
        if wrong := [label for label in _labels(body) if not re.fullmatch(LABEL, label)]:
            raise _error(422, "Invalid", f"a label's value is {wrong[0]!r}")
        self.writes += 1
        meta = {"uid": f"{plural}-{self.writes}", "creationTimestamp": time_text(self._clock())}
        self.objects[place] = self._versioned(body, **meta)
        if plural == "pods":
            self.made.append(self.objects[place])
        return copy.deepcopy(self.objects[place])

    def _replace(self, place: Place, body: Object) -> Object:
        held = self._there(place)["metadata"]
        if body["metadata"].get("resourceVersion") != held["resourceVersion"]:
            raise _error(409, "Conflict", f"{place} was written by another")
        self.writes += 1
        self.objects[place] = self._versioned(body, uid=held["uid"])
        return copy.deepcopy(self.objects[place])

    def _delete(self, place: Place, uid: str) -> Object:
        held = self._there(place)
        if held["metadata"]["uid"] != uid:
            raise _error(409, "Conflict", f"{place} is another")
        self.writes += 1
        if place[0] == "pods":
            held["metadata"]["deletionTimestamp"] = time_text(self._clock())
        else:
            del self.objects[place]
        return {}

    def _merge(self, place: Place, body: Object) -> Object:
        if place not in self.objects and place[0] == "configmaps":
            return self._create(place[0], place[1], body)
        held = self._there(place)
        if any(body["metadata"].get(key, held["metadata"][key]) != held["metadata"][key] for key in READ):
            raise _error(409, "Conflict", f"{place} is another, or was written by another")
        part = next(part for part in ("status", "spec", "data") if part in body)
        after = body[part] if place[0] in APPLIED else _merged(held.get(part) or {}, body[part])
        if held.get(part) != after:
            self.writes += 1
            self.objects[place] = self._versioned({**held, part: after})
        return copy.deepcopy(self.objects[place])

    def _versioned(self, body: Object, **meta: Any) -> Object:
        return {**body, "metadata": {**body["metadata"], **meta, "resourceVersion": str(self.writes)}}


def _parts(path: str) -> Place:
    """Empty where there is none."""
    way = path.strip("/").split("/")
    rest = way[2:] if way[0] == "api" else way[3:]
    namespace = rest[1] if rest[0] == "namespaces" else ""
    plural, name, *_ = (*(rest[2:] if namespace else rest), "")
    return plural, namespace, name


def _merged(before: Object, changes: Object) -> Object:
    """As by a merge patch."""
    return {key: value for key, value in {**before, **changes}.items() if value is not None}


def _labels(body: Object) -> list[str]:
    return list((body["metadata"].get("labels") or {}).values())


def _selected(raw: Object, selector: str) -> bool:
    labels = raw["metadata"].get("labels", {})
    wanted = [term.partition("=") for term in selector.split(",") if term]
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in wanted)


def _error(code: int, reason: str, text: str) -> Exception:
    return from_status(code, json.dumps({"reason": reason, "message": text}).encode(), "in memory", None)
