"""`edgetrain run` as a person starts it, on a terminal or with its output in a file."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

EDGETRAIN = (sys.executable, "-P", "-m", "edgetrain_local")
PATIENCE = 90.0
T = TypeVar("T")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """A run with a terminal of its own."""

    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = ""
    """All that was drawn, without colours and moves."""
    _seen: int = field(default=0)

    def press(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def until(self, pattern: str, seconds: float = PATIENCE) -> re.Match[str]:
        """Until this is shown, after what was waited for before."""
        wanted = re.compile(pattern)
        found = self.wait(lambda: wanted.search(self.shown, self._seen), f"{pattern!r} is not shown", seconds)
        self._seen = found.end()
        return found

    def end(self, seconds: float = PATIENCE) -> int:
        """Its exit status."""
        self.wait(lambda: self.process.poll() is not None, "it does not end", seconds)
        self.read(0.2)
        return self.process.returncode

    def wait(self, condition: Callable[[], T | None], otherwise: str, seconds: float = PATIENCE) -> T:
        """Until it holds; returns what it gives."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{otherwise}:\n{self.shown[-3000:]}"
            self.read(0.2)
        return found

    def read(self, seconds: float) -> None:
        while select.select([self.descriptor], [], [], seconds)[0]:
            try:
                raw = os.read(self.descriptor, 1 << 16)
            except OSError:  # Nobody has the other end open any more.
                return
            self.shown += _ESCAPES.sub("", raw.decode(errors="replace"))
            seconds = 0.0


Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `edgetrain` with these words; ended, with all that it has started, when the test ends."""
    begun: list[Terminal] = []

    def begin(*words: str) -> Terminal:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*EDGETRAIN, *words], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, env=_environment()
        )
        os.close(theirs)
        terminal = Terminal(process, ours)
        begun.append(terminal)
        return terminal

    yield begin
    for terminal in begun:
        if terminal.process.poll() is None:
            terminal.process.send_signal(signal.SIGKILL)
            terminal.process.wait()
        os.close(terminal.descriptor)


def edgetrain(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Its output in a file, and nobody who presses keys."""
    return subprocess.run(
        [*EDGETRAIN, *words],
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


def script(directory: Path, lines: Sequence[str]) -> str:
    """A program with these lines within its loop over steps; returns its name."""
    body = "\n".join(f"    {line}" for line in lines)
    (directory / "program.py").write_text(_PROGRAM.format(body=body))
    return "program.py"


def _environment() -> dict[str, str]:
    return {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}


_PROGRAM = """
import os, sys, time
import torch
import edgetrain

session = edgetrain.join()
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
model, optimizer = session.prepare(model, optimizer)
steps = int(sys.argv[1])
for step in session.steps(steps):
    optimizer.zero_grad()
    loss = model(torch.ones(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
{body}
print("trained", step + 1, "as", os.environ["EDGETRAIN_NODE"], flush=True)
session.save(model)
"""
