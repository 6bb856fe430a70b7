"""A program under its supervisor: when it is said to hang, and when it is not."""

import asyncio
import sys

import pytest

from edgetrain.local import Message, Stop
from edgetrain.supervisor.program import HUNG_SECONDS, Program

SILENT_SECONDS = HUNG_SECONDS * 3
PROGRAM = f"""
import os, sys, time
link = os.fdopen(int(os.environ["EDGETRAIN_LINK_FD"]), "r+b", buffering=0)
while b'"Stop"' not in link.readline():
    link.write(b'{{"type": "Pong"}}\\n{{"type": "Mended", "reason": "answers"}}\\n')
    if sys.argv[1] == "hang":
        break
time.sleep({SILENT_SECONDS})
"""
"""It answers once, or until it is asked to end, and then ends only after a while."""


async def told_of(does: str) -> list[bool]:
    """What is told of whether it hangs, from its first answer to its end."""
    told: list[bool] = []
    answers = asyncio.Event()

    def on_message(message: Message) -> None:
        answers.set()

    one = Program(on_message)
    running = asyncio.create_task(one.run([sys.executable, "-c", PROGRAM, does], told.append))
    await answers.wait()
    if does == "end":
        one.send(Stop())
    await running
    return told


@pytest.mark.parametrize(("does", "hangs"), [("end", []), ("hang", [True])])
def test_who_is_asked_to_end_and_takes_a_while_does_not_hang(does: str, hangs: list[bool]) -> None:
    assert asyncio.run(told_of(does)) == hangs
