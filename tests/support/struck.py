"""One call to the API server, or some of them, on which something goes wrong."""

import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgetrain_operator.kube.errors import KubeError, from_status
from tests.support.replicas import Crash, Send

Fault = Callable[[Send], Awaitable[Any]]


@dataclass
class Strike:
    """Of the calls of a story, whichever operator makes them, these meet the fault."""

    at: Collection[int] = ()
    fault: Fault | None = None
    calls: list[str] = field(default_factory=list)
    """Method and path of each so far."""

    async def around(self, method: str, path: str, send: Send) -> Any:
        number = len(self.calls)
        self.calls.append(f"{method} {path}")
        return await (self.fault(send) if self.fault and number in self.at else send())

    @property
    def writes(self) -> int:
        return sum(not call.startswith("GET ") for call in self.calls)


async def dies_before(send: Send) -> Any:
    """With all done that followed from the call before."""
    raise Crash


async def dies_after(send: Send) -> Any:
    """It has taken effect, and the answer has not come."""
    await send()
    raise Crash


def answers(status: int, retry_after: str | None = None) -> Fault:
    async def fault(send: Send) -> Any:
        raise from_status(status, b'{"message": "as a fault"}', "a call", retry_after)

    return fault


async def reset_before(send: Send) -> Any:
    raise KubeError("connection reset before it was sent")


async def reset_after(send: Send) -> Any:
    """It has taken effect, and its sender lives on and cannot know."""
    await send()
    raise KubeError("connection reset before the answer")


CRASHES: Mapping[str, Fault] = {"dies before": dies_before, "dies after": dies_after}
FAULTS: Mapping[str, Fault] = {
    "409": answers(409),
    "429": answers(429, "7"),
    "500": answers(500),
    "503": answers(503),
    "reset before": reset_before,
    "reset after": reset_after,
}


def storm(seed: int) -> Fault:
    """Any of the faults, at one call in four."""
    chance, kinds = random.Random(seed), list(FAULTS.values())

    async def fault(send: Send) -> Any:
        return await (chance.choice(kinds)(send) if chance.random() < 0.25 else send())

    return fault
