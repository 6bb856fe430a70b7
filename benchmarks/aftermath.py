"""How a job goes on after faults: when it trains again."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bed import Bed
from benchmarks.faults import Struck
from benchmarks.steps import Begin, Step
from benchmarks.waiting import wait_for

START_SECONDS = 300.0
"""For programs to begin: on a busy machine torch's import alone takes a minute."""


@dataclass(frozen=True)
class Aftermath:
    """How training went on after the last fault. Seconds.

    What was killed has to be started first, which takes what the machine takes, torch's import most of
    all. So time counts from when the last fault was over and all programs killed had begun again.
    """

    starting: float
    """From the end of the last fault until all programs killed had begun again."""
    to_next: float
    """From then to the next committed step."""
    to_whole: float
    """From then to the first step with samples of all members."""


def aftermath(
    struck: Sequence[Struck], steps: Sequence[Step], begun: Sequence[Begin], whole: int
) -> Aftermath | None:
    """None where training has not come back to `whole` members, or a program killed never began again."""
    over, again = max(fault.ended for fault in struck), begun_again(struck, begun)
    if None in again:
        return None
    start = max([over, *(at for at in again if at is not None)])
    fresh = [step for step in steps if step.at > start and not step.replayed]
    full = [step.at for step in fresh if step.members == whole]
    if not full:
        return None
    return Aftermath(start - over, min(step.at for step in fresh) - start, min(full) - start)


def begun_again(struck: Sequence[Struck], begun: Sequence[Begin]) -> list[float | None]:
    """When each program that faults killed began next, None where it has not; Unix times, seconds."""
    killed = {node: fault.began for fault in struck if fault.kills for node in fault.nodes}
    return [
        min((one.at for one in begun if one.node == node and one.at > at), default=None)
        for node, at in killed.items()
    ]


def wait_whole_again(test: Bed, struck: Sequence[Struck], quiet_seconds: float) -> None:
    """Until all nodes train, which has to come so soon after all programs killed have begun again.

    Raises:
        TimeoutError: it did not, or a program never began.
    """

    def started() -> bool:
        test.journal.read()
        return None not in begun_again(struck, test.journal.begun)

    wait_for(started, START_SECONDS, "all programs killed to begin again", every=0.3)
    test.wait_training(len(test.nodes), quiet_seconds)


def last_resorts(test: Bed) -> int:
    """How often the job was found stalled; it must never come to that."""
    return len(test.events("NobodyTrains"))


def restore(test: Bed) -> None:
    """All links whole, all nodes on, the operator there: what a fault that failed half-way has left."""
    test.lab.heal()
    for view in test.lab.status().nodes:
        if view.power == "off":
            test.lab.node_start(view.name)
    test.scale_operator(1)
