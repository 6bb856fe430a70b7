"""A program under its supervisor: when it is said to hang, when it is not, and what it said last."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
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


SAYS_AND_STAYS = """
import os, sys, time
os.write(int(os.environ["EDGETRAIN_LINK_FD"]), eval(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
"""


def refuse(message: Message) -> None:
    raise RuntimeError("nobody has foreseen this")


@pytest.mark.parametrize(
    ("says", "why"),
    [('b\'{"type": "Mended", "reason": "x"}\\n\'', "foreseen this"), ("b'x' * (9 << 20)", "limit")],
)
def test_a_supervisor_that_cannot_hear_its_program_any_more_ends_with_it(
    says: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Deaf, it went on for good, and nobody was told."""
    command = [sys.executable, "-c", SAYS_AND_STAYS, says]
    with pytest.raises((RuntimeError, ValueError), match=why):
        asyncio.run(asyncio.wait_for(Program(refuse).run(command, lambda hung: None), 30))
    if pid := capfd.readouterr().out:
        wait_for(lambda: not Path(f"/proc/{pid.strip()}").exists() or is_over(int(pid)), 10.0)


def is_over(pid: int) -> bool:
    return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()


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


STARTS_ANOTHER = """
import os, subprocess, sys
another = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(another.pid, file=sys.stderr, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_program_has_ended_though_what_it_has_started_lives_and_that_ends_with_it() -> None:
    """Its workers have its stderr: waiting for the end of that its supervisor took it to hang for good."""
    one = Program(lambda message: None)
    command = [sys.executable, "-c", STARTS_ANOTHER]
    status = asyncio.run(asyncio.wait_for(one.run(command, lambda hung: None), 30))
    assert status == -signal.SIGKILL
    another = Path("/proc", one.last_words.spoken.strip(), "cmdline")
    # A zombie has no command line: nobody collects it where the first process does not.
    wait_for(lambda: not another.exists() or not another.read_bytes(), 10)


AS_THE_FIRST_PROCESS = f"""
import asyncio, ctypes, os, sys
from pathlib import Path
from edgetrain.supervisor import orphans
from edgetrain.supervisor.program import Program

PR_SET_CHILD_SUBREAPER = 36
assert not ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
for _ in range(6):
    orphans.collect()
    asyncio.run(Program(print).run([sys.executable, "-c", {STARTS_ANOTHER!r}], print))
print(len(Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()))
"""


def test_what_programs_have_left_behind_is_collected() -> None:
    """But for what is just ending."""
    command = [sys.executable, "-c", AS_THE_FIRST_PROCESS]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) <= 3
