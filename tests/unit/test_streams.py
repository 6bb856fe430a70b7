"""A handshake that is given up, at whatever moment, leaves nothing behind in the loop."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from edgetrain.credentials import Credentials
from edgetrain.supervisor import streams
from edgetrain.supervisor.streams import Stream
from tests.support.identities import credentials

MOMENTS = 200
"""Turns of the loop within which both ends are through, by far."""


async def given_up(ours: Credentials, theirs: Credentials, end: str, turns: int) -> bool:
    """Cancel this end after so many turns of the loop; says whether it was through by then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    ends = {
        "admits": asyncio.create_task(streams.admitted(far, ours.server)),
        "dials": asyncio.create_task(streams.dialled(near, theirs.client)),
    }
    for _ in range(turns):
        await asyncio.sleep(0)
    through = ends[end].done()
    await cancelled(ends.pop(end))
    # The lowest numbers that are free: what has just been closed, if anything has.
    await heard()
    await cancelled(*ends.values())
    await heard()
    return through


async def cancelled(*tasks: asyncio.Task[Stream]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            (await task).writer.close()


async def heard() -> None:
    """What another socket says, whatever number it was given."""
    for number in range(2):
        pair = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=pair[number])
        pair[1 - number].sendall(b"here\n")
        async with asyncio.timeout(5.0):
            assert await reader.readline() == b"here\n"
        writer.close()
        pair[1 - number].close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("end", ["admits", "dials"])
def test_no_socket_is_deaf_after_a_handshake_was_given_up_at_any_moment(end: str, tmp_path: Path) -> None:
    """A number that was closed under the loop is watched by nobody when it is given out again: a supervisor
    had a program started that it never heard."""
    ours, theirs, turns = credentials(tmp_path, "w0"), credentials(tmp_path, "w1"), 0
    while not asyncio.run(given_up(ours, theirs, end, turns)):
        turns += 1
        assert turns < MOMENTS
    assert turns > 3
