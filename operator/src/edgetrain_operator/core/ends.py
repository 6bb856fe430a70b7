"""How a pod's containers ended last, from the pod as the API server gives it."""

from collections.abc import Iterator, Mapping
from typing import Any

from edgetrain_operator.core.model import ContainerEnd
from edgetrain_protocol.names import PROFILER_CONTAINER, TRAINER_CONTAINER

FROM_OUTSIDE = frozenset({0, 137, 143, 255})
"""Exit codes of a clean end, of SIGKILL and SIGTERM, of a container lost with its node's power: they say
nothing that anybody could mend."""
OUT_OF_MEMORY = "OOMKilled"
POD = "pod"
"""In the place of a container's name: the pod as a whole."""
OWN = frozenset({TRAINER_CONTAINER, PROFILER_CONTAINER})

Raw = Mapping[str, Any]


def container_ends(raw: Raw) -> tuple[ContainerEnd, ...]:
    """The newest end of each container that did not end well, and the pod's own: evicted, refused."""
    status = raw.get("status") or {}
    return (*_of_pod(status), *_of_containers(raw, status))


def _of_pod(status: Raw) -> Iterator[ContainerEnd]:
    if status.get("phase") == "Failed" and status.get("reason"):
        yield ContainerEnd(POD, status["reason"], message=status.get("message", ""))


def _of_containers(raw: Raw, status: Raw) -> Iterator[ContainerEnd]:
    limits = _memory_limits(raw.get("spec") or {})
    for container in _of_interest(status):
        name, restarts = container["name"], int(container.get("restartCount", 0))
        # A container that has ended has not been counted as restarted yet.
        for state, ordinal in (
            (container.get("state"), restarts),
            (container.get("lastState"), restarts - 1),
        ):
            end = (state or {}).get("terminated") or {}
            if _of_note(end):
                yield ContainerEnd(
                    name,
                    end.get("reason", ""),
                    end.get("exitCode", 0),
                    end.get("message", "").strip(),
                    ordinal,
                    limits.get(name, ""),
                )
                break


def waits_for_others(status: Raw) -> bool:
    """Whether the trainer has not begun because init containers come before it."""
    trainer: Raw = next((c for c in _containers(status) if c["name"] == TRAINER_CONTAINER), {})
    return ((trainer.get("state") or {}).get("waiting") or {}).get("reason") == "PodInitializing"


def _of_interest(status: Raw) -> Iterator[Raw]:
    """Ours; and others before the trainer that keep it from beginning. What others, such as a service mesh,
    run beside it is their own affair."""
    yield from (c for c in _containers(status) if c["name"] in OWN)
    if waits_for_others(status):
        others = (c for c in status.get("initContainerStatuses") or () if c["name"] not in OWN)
        yield from (c for c in others if not _ended_well(c))


def _containers(status: Raw) -> Iterator[Raw]:
    yield from status.get("containerStatuses") or ()
    yield from status.get("initContainerStatuses") or ()


def _ended_well(container: Raw) -> bool:
    end = (container.get("state") or {}).get("terminated") or {"exitCode": 1}
    return bool(end.get("exitCode", 0) == 0)


def _of_note(end: Raw) -> bool:
    code = end.get("exitCode", 0)
    # A runtime calls a container OOMKilled whose child once was, even where it ended well since.
    return code not in FROM_OUTSIDE or (code != 0 and end.get("reason") == OUT_OF_MEMORY)


def _memory_limits(spec: Raw) -> dict[str, str]:
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    limits = {c["name"]: ((c.get("resources") or {}).get("limits") or {}).get("memory") for c in containers}
    return {name: limit for name, limit in limits.items() if limit}
