"""What keeps a worker from starting: what is not mended by waiting is told from what may be.

An image may be on its way, a processor may become free, a Secret may still be made: those are waited for.
"""

from collections.abc import Iterable

from edgetrain_operator.core.model import ContainerTrouble, PodView
from edgetrain_operator.core.stored_hindrance import Hindrance

PATIENCE_SECONDS = 180.0
"""From the first sight: five tries of a kubelet, which waits 10 s and then twice as long each time. A
registry that was just being filled has the image by then, or a node on which somebody loads it by hand."""
INVALID = "InvalidImageName"
"""No try is made."""
NOT_THERE = (
    "not found", "manifest unknown", "name unknown", "does not exist", "no match for platform",
    "access denied", "is denied", "unauthorized", "authorization failed", "authentication required",
)  # fmt: skip
"""What registries answer, in the words of container runtimes: they were reached, and have no such image, or
none for this caller or this architecture. All else is said of the way there."""
ON_THE_WAY = (
    "timeout", "no such host", "refused", "reset", "unreachable", "toomanyrequests", "Too Many Requests",
)  # fmt: skip
"""A runtime tries several mirrors and says what each answered: the one that was not reached may have it."""
NO_KEY = "couldn't find key"
"""Of a Secret or ConfigMap that is there."""
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff"})


def hindrance(before: Hindrance | None, pod: PodView | None, now: float) -> Hindrance | None:
    """Of this pod; `before`: what was known of the worker. It keeps the reason that came first: a kubelet's
    changes with each try, and each change would be a write."""
    if pod is None or pod.phase != "Pending":
        return None
    known = before if before and before.pod_uid == pod.uid else None
    why = pod.trouble
    if why is None or _says_nothing(why):
        return known
    if not _lasting(why):
        return None
    return known or Hindrance(pod_uid=pod.uid, reason=why.reason, since=now)


def lasts(known: Hindrance, now: float) -> bool:
    """Whether it has been there for so long that nothing else is to be expected."""
    return known.reason == INVALID or now - known.since >= PATIENCE_SECONDS


def _says_nothing(why: ContainerTrouble) -> bool:
    """Kubelets before 1.31 do not say between two tries why the last one failed."""
    return why.reason == "ImagePullBackOff" and ": " not in why.message


def _lasting(why: ContainerTrouble) -> bool:
    if why.reason in _PULL:
        return _says(why, NOT_THERE) and not _says(why, ON_THE_WAY)
    if why.reason == "CreateContainerConfigError":
        return NO_KEY in why.message
    return why.reason in (INVALID, "ErrImageNeverPull")


def _says(why: ContainerTrouble, any_of: Iterable[str]) -> bool:
    return any(words in why.message for words in any_of)
