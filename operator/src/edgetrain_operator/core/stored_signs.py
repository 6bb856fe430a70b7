"""What was seen of a worker's pod and its containers, as it is stored."""

from typing import Annotated

from pydantic import Field, StringConstraints

from edgetrain_protocol.base import MOST_COUNTED, Moment, ShortText, Tolerant

WORDS_MAX = 600
"""Characters of a container's last words."""


class LastEnd(Tolerant):
    """How a container ended last, where it did not end well; outlives the pod, whose log does not."""

    reason: ShortText
    """CamelCase, as in conditions."""
    words: Annotated[str, StringConstraints(max_length=WORDS_MAX)] = ""
    """The last that it said, or what the kubelet said of it."""
    at: Moment = 0.0
    """When that was first seen."""
    pod_uid: ShortText = ""
    ordinal: Annotated[int, Field(ge=-1, le=MOST_COUNTED)] = -1
    """Which start of the container it was, from 0; -1 where its supervisor alone has told of it."""
    incarnation: ShortText = ""
    """Which start of the program had reported last by then."""
    settled: bool = False
    """Whether one that started later has got ready."""


class Sighting(Tolerant):
    """What was seen of a worker's pod, for an operator that begins to look later."""

    pod_uid: ShortText
    running_since: Moment = 0.0
    """When it was first seen running without having been heard; 0 where it never was."""
    heard: bool = False
    """Whether its supervisor ever was."""
    ended_well: bool = False
