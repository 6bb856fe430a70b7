"""One job out of two: what it says, and what its runtime says of all jobs.

What only one of them says, counts. Where the job says something else than what it would come to without it,
its word counts if the runtime lets it; otherwise the runtime's does, and the job is refused for it. Entries
of environments, labels, volumes and the like are judged one by one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetrain_protocol.base import Document
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.runtime import JOBS_OWN, RuntimeParts, RuntimeSpec, below, covers, section
from edgetrain_protocol.template import TemplateContainer

SHOWN_MAX = 60

Key = Callable[[Any], str]


def _name(entry: Any) -> str:
    return str(entry["name"] if isinstance(entry, dict) else entry.name)


def _content(entry: Any) -> str:
    return json.dumps(entry.to_wire() if isinstance(entry, Document) else entry, sort_keys=True)


_ENTRIES: Mapping[str, Key] = {
    "env": _name,
    "containers": _name,
    "init_containers": _name,
    "volumes": _name,
    "volume_mounts": lambda entry: str(entry.get("mountPath")),
    "tolerations": _content,
    "image_pull_secrets": _content,
    "overrides": _content,
    "match_expressions": _content,
}
"""Lists of which both have entries, and by what these are told apart. Of any other, one list counts."""
_MAPS = ("labels", "annotations", "match_labels")


@dataclass(frozen=True)
class Merged:
    spec: JobSpec
    refused: tuple[str, ...]
    """Each field in which the job says what it may not, with what it says."""


def merged(job: JobSpec, runtime: RuntimeSpec) -> Merged:
    """The job with what its runtime says. To merge the outcome again changes and refuses nothing."""
    judge = _Judge(runtime.may_change)
    changes = judge.fields(job, runtime, RuntimeParts, "")
    return Merged(job.model_copy(update=changes), tuple(judge.refused))


@dataclass
class _Judge:
    may_change: Sequence[str]
    refused: list[str] = field(default_factory=list)

    def fields(self, job: Document, runtime: Document, kind: type[Document], path: str) -> dict[str, Any]:
        """What each field of `kind` comes to."""
        found = {}
        for name, about in kind.model_fields.items():
            mine, its = getattr(job, name), getattr(runtime, name)
            here = below(path, about.alias or name)
            if part := section(about):
                found[name] = mine.model_copy(update=self.fields(mine, its, part, here))
            elif name in _MAPS:
                found[name] = self._entries(mine, its, here)
            elif name in _ENTRIES:
                found[name] = self._list(mine, its, _ENTRIES[name], here)
            elif name in job.model_fields_set:
                found[name] = self._one(mine, its, name in runtime.model_fields_set, here)
            else:
                found[name] = its
        return found

    def _list(self, mine: Sequence[Any], its: Sequence[Any], key: Key, path: str) -> list[Any]:
        """The runtime's entries first, each once."""
        ours, others = {key(entry): entry for entry in mine}, {key(entry): entry for entry in its}
        return list(self._entries(ours, others, path, named=key is not _content).values())

    def _entries(
        self, mine: Mapping[str, Any], its: Mapping[str, Any], path: str, named: bool = True
    ) -> dict[str, Any]:
        found = dict(its)
        for key, value in mine.items():
            here = below(path, key) if named else path
            if isinstance(value, TemplateContainer):
                before = its.get(key) or TemplateContainer.model_validate({"name": key})
                found[key] = value.model_copy(update=self.fields(value, before, TemplateContainer, here))
            elif (taken := self._one(value, its.get(key), key in its, here)) is not None:
                found[key] = taken
        return found

    def _one(self, mine: Any, its: Any, said: bool, path: str) -> Any:
        """The job's word or the runtime's. `said`: by the runtime, and not as a default."""
        own = not said and any(covers(whole, path) for whole in JOBS_OWN)
        if mine == its or own or any(covers(whole, path) for whole in self.may_change):
            return mine
        self.refused.append(f"{path} {_shown(mine)}")
        return its


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else _content(_plain(value))
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


def _plain(value: Any) -> Any:
    return (
        [v.to_wire() if isinstance(v, Document) else v for v in value] if isinstance(value, list) else value
    )
