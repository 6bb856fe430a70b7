"""What a person sees of training: a bar on a terminal, elsewhere a line now and then."""

import fcntl
import io
import os
import pty
import struct
import sys
import termios
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from edgetrain import link
from edgetrain.engine.errors import BadProgram
from edgetrain.loop.showing import Showing
from edgetrain.session import Session, join
from tests.support.loops import running
from tests.support.trainers import stop_all

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))


def trained(session: Session) -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = DataLoader(TensorDataset(X, X.sum(1, keepdim=True)), batch_size=8)
    model, optimizer, loader = session.prepare(model, optimizer, data)
    for _ in session.epochs(2):
        for x, y in loader:
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            optimizer.step()
    session.save(model)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("EDGETRAIN_MODEL_DIR", str(tmp_path))
    return join()


def test_a_terminal_has_a_bar(session: Session) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    with os.fdopen(theirs, "w") as terminal:
        session._program.showing = Showing(stream=terminal)
        trained(session)
        drawn = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "epoch 2 100%" in drawn
    assert "5/5" in drawn
    assert "loss " in drawn
    assert "samples/s" in drawn


@pytest.mark.parametrize("wanted", [True, False])
def test_a_log_has_a_line_now_and_then(session: Session, wanted: bool) -> None:
    log, now = io.StringIO(), iter(range(0, 10_000, 12))
    session._program.showing = Showing("", log, lambda: float(next(now)))
    session.progress = wanted
    trained(session)
    lines = log.getvalue().splitlines()
    assert (1 < len(lines) < 6) if wanted else not lines
    assert all(line.startswith("edgetrain: step ") and " %, loss " in line for line in lines)


def test_no_more_is_logged_than_can_be_told(session: Session) -> None:
    trained(session)
    session.log(**{f"metric{number}": 1.0 for number in range(20)})
    with pytest.raises(BadProgram, match="got 21 names: give it at most 20"):
        session.log(other=1.0)
    for name in ("x" * 64, "a\ud800"):
        with pytest.raises(BadProgram, match="give it at most 63 characters that can be printed"):
            session.log(**{name: 1.0})
    # What is counted beside them finds room.
    session._program.running.engine.meter.noted("stepsNotFinite", 1)


MAIN = """
from edgetrain.loop import showing
showing.LINE_SECONDS = 0.0
model, optimizer, loader = session.prepare(model, optimizer, DataLoader(TensorDataset(x, y), batch_size=24))
import sys
sys.stderr = open(Path(__file__).with_name(worker + ".log"), "w")
session._program.showing = showing.Showing()
for epoch in session.epochs(2):
    for bx, by in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
    session.log(accuracy=0.5 * epoch)
sys.stderr.flush()
session.save(model)
"""


def test_one_member_of_a_group_prints_and_all_know_what_was_logged(tmp_path: Path) -> None:
    with running(tmp_path, MAIN) as group:
        group.run()
        assert all(member.last(link.Progress).metrics == {"accuracy": 0.5} for member in group.members)
        stop_all(group)
    logs = {worker: (tmp_path / f"{worker}.log").read_text() for worker in "abc"}
    assert [worker for worker, text in logs.items() if text] == ["a"]
    assert logs["a"].splitlines()[-1].endswith(", 3 members")


def test_where_tensorboard_is_missing_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BadProgram, match="tensorboard is not installed: add it to the image"):
        join(tensorboard=tmp_path)
