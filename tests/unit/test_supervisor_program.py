"""A program under its supervisor: when it is said to hang, when it is not, and what it said last."""

import asyncio
import sys

import pytest

from edgetrain.link import Message, Stop
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


BAR = "50%|#####     | 1/2"
WRITES_A_BAR = f"""
import sys
sys.stderr.write("loading\\n")
for _ in range({(9 << 20) // (100 * len(BAR))}):
    sys.stderr.write("\\r{BAR}" * 100)
sys.stderr.write(sys.argv[1])
sys.exit(1)
"""


@pytest.mark.parametrize(("end", "lines"), [("", [BAR]), ("\r\n", [BAR]), ("\nno more", [BAR, "no more"])])
def test_a_progress_bar_stops_nobody_and_is_one_line(
    end: str, lines: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What a line may have at most was reached by a bar alone, and its program stood still for good."""
    one = Program(lambda message: None)
    command = [sys.executable, "-c", WRITES_A_BAR, end]
    asyncio.run(asyncio.wait_for(one.run(command, lambda hung: None), 30))
    passed_on = capfdbinary.readouterr().err
    assert one.last_words.spoken.split("\n") == ["loading", *lines]
    assert len(passed_on) > 8 << 20
    assert passed_on[-40:].endswith(lines[-1].encode() + (b"\r\n" if "\r" in end else b"\n"))
