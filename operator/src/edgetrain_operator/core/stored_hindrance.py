"""What keeps a worker's pod from starting and is not mended by waiting, as it is stored."""

from edgetrain_protocol.base import Moment, ShortText, Tolerant


class Hindrance(Tolerant):
    """Without the kubelet's words: a thousand workers may have one, in one document."""

    pod_uid: ShortText
    reason: ShortText
    """The kubelet's, as it was first seen."""
    since: Moment
    """When that was."""
