"""The remote stores that a job names, by what they are for."""

from typing import NamedTuple

from edgetrain_protocol.job import JobSpec


class Remote(NamedTuple):
    purpose: str
    uri: str
    sha256: str
    secret: str


def remotes(spec: JobSpec) -> list[Remote]:
    source, stored = spec.program.source, spec.storage
    fetched = {"program": source, "data": stored.data}
    pushed = {"checkpoint": stored.checkpoint, "model": stored.model}
    return [
        *(Remote(p, s.uri, s.sha256 or "", s.secret or "") for p, s in fetched.items() if s and s.uri),
        *(Remote(p, s.uri, "", s.secret or "") for p, s in pushed.items() if s and s.uri),
    ]
