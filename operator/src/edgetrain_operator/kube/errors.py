"""What the API server or the way to it may answer, by what the caller does about it."""

import json


class KubeError(Exception):
    """Any failure; by itself a passing one, of the API server or of the way to it: try again later."""

    def __init__(self, message: str, *, said: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.said = said or message
        """The answer's own words, where it had any."""
        self.retry_after = retry_after


class NotFound(KubeError):
    """404: there is no such object, or no more."""


class Conflict(KubeError):
    """409: somebody wrote first, or the uid is another's. Read and decide again."""


class AlreadyExists(Conflict):
    """409 on a POST: the name is taken."""


class Refused(KubeError):
    """This object will not be had as things stand: rights, quota, a bad field, Pod Security, a policy, a
    webhook that denies it or does not answer. Another object may be."""


_KINDS: dict[int, type[KubeError]] = {404: NotFound, 409: Conflict, 410: Conflict}
_PASSING = frozenset({401, 408, 429, 502, 503})
"""Of the API server itself, or of what stands before it, whatever the object."""
_ADMISSION = ("admission webhook", "failed calling webhook", "ValidatingAdmissionPolicy")
"""In an answer about the object: policies and webhooks choose their own codes, those above among them."""


def from_status(status: int, body: bytes, what: str, retry_after: str | None) -> KubeError:
    """The typed error for an answer of 400 or more."""
    reason, message = _said(body)
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    kind = _kind(status, reason, message)
    return kind(f"{what}: {status} {message}", said=message, retry_after=seconds)


def _kind(status: int, reason: str, message: str) -> type[KubeError]:
    if any(words in message for words in _ADMISSION):
        return Refused
    if reason == "AlreadyExists":
        return AlreadyExists
    return _KINDS.get(status, KubeError if status in _PASSING else Refused)


def _said(body: bytes) -> tuple[str, str]:
    try:
        answer = json.loads(body)
        return str(answer.get("reason", "")), str(answer.get("message", ""))
    except (ValueError, AttributeError):
        return "", body[:200].decode(errors="replace")
