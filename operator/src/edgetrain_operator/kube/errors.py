"""What the API server or the way to it may answer, by what the caller does about it."""

import json


class KubeError(Exception):
    """Any failure; by itself a passing one: try again later."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotFound(KubeError):
    """404: there is no such object, or no more."""


class Conflict(KubeError):
    """409: somebody wrote first, or the uid is another's. Read and decide again."""


class AlreadyExists(Conflict):
    """409 on a POST: the name is taken."""


class Refused(KubeError):
    """403 or 422: as it is written the object will not be had (Pod Security, quota, rights, a bad field)."""


def from_status(status: int, body: bytes, what: str, retry_after: str | None) -> KubeError:
    """The typed error for an answer of 400 or more."""
    reason, message = _said(body)
    text = f"{what}: {status} {message}"
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
    kinds: dict[int, type[KubeError]] = {
        403: Refused,
        404: NotFound,
        409: Conflict,
        410: Conflict,
        422: Refused,
    }
    kind = AlreadyExists if reason == "AlreadyExists" else kinds.get(status, KubeError)
    return kind(text, retry_after=seconds)


def _said(body: bytes) -> tuple[str, str]:
    try:
        answer = json.loads(body)
        return str(answer.get("reason", "")), str(answer.get("message", ""))
    except (ValueError, AttributeError):
        return "", body[:200].decode(errors="replace")
