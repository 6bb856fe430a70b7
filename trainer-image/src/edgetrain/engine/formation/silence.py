"""Whether what is sent on a connection gets through, judged by what the kernel says of it. Pure.

Only the silence of the other end's kernel counts. It acknowledges whatever comes, also for a program that is
stopped or starved, until that program's room is full; then it says so (a closed window) and is not accused.
And a slow link with deep buffers answers late, but goes on answering.
"""

from dataclasses import dataclass

from edgetrain.tcp_info import TcpInfo

LOOK_SECONDS = 0.25
"""Between two looks at a connection."""
STUCK_SECONDS = 2.0
"""Longer than a change of the radio cell, or a route that is found anew, usually takes."""
VAIN_RETRANSMITS = 3
"""The kernel waits for longer where answers usually take longer: it has to have asked again in vain. Two may
be lost by themselves on a link that loses one in 25."""
ASK_SECONDS = 1
"""A connection over which nothing goes is asked so often whether it is there: to tell whose connections all
are silent from who is at the other end of one."""
VAIN_PROBES = 5
"""Of those, the last of which may have its answer under way. Fewer are lost by themselves too often, where
each of a group's idle connections asks every second: on links that lose one packet in 100, three in a row
once in two minutes."""


@dataclass(frozen=True)
class Silence:
    """Nothing has been acknowledged for so long, though something is on its way."""

    answers: tuple[int, int | None]
    """What had been acknowledged when it began: bytes in a row, and packets in whatever order."""
    seconds: float = 0.0


def listen(before: Silence | None, info: TcpInfo, passed: float) -> Silence | None:
    """The silence after another look, `passed` seconds after the last; None where nothing is owed."""
    if not info.unacked or info.window == 0:
        return None
    answers = (info.acked, info.delivered)
    if before is None or before.answers != answers:
        return Silence(answers)
    # A look that comes late says that we did not run, not that the other end was silent.
    return Silence(answers, before.seconds + min(passed, 2 * LOOK_SECONDS))


def is_stuck(silence: Silence | None, info: TcpInfo) -> bool:
    """Whether nothing gets through any more."""
    if silence is None:
        return info.probes >= VAIN_PROBES
    return silence.seconds >= STUCK_SECONDS and info.retransmits >= VAIN_RETRANSMITS
