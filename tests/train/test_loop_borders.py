"""Losses, newcomers and new generations at the borders of loops: before, between and behind them."""

import signal
from pathlib import Path

import pytest
import torch

from edgetrain import link
from tests.support.loops import end_alike, marks, model_of, one_is_told, running
from tests.support.trainers import stop_all

TAIL = """
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
session.prepare(model, optimizer, scheduler)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(3):
    for bx, by in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
    scheduler.step()
if not Path(__file__).with_name("failed").exists():
    Path(__file__).with_name("failed").touch()
    raise RuntimeError("what comes after the loop fails")
mark(str(scheduler.last_epoch))
session.save(model)
"""


def test_what_a_program_does_after_its_last_epoch_is_not_done_twice(tmp_path: Path) -> None:
    """The end of training is saved before it."""
    with running(tmp_path, TAIL, workers="a") as group:
        group.until(lambda: not group.members[0].alive)
        saved = group.members[0].last(link.Checkpointed)
    assert saved.step == 12
    resume = link.Resume(saved.step, saved.history, saved.digest)
    with running(tmp_path, TAIL, workers="a", resume=resume) as group:
        group.run()
        assert marks(group, "a") == ["3"]
        stop_all(group)


BETWEEN = """
import time
second = torch.optim.SGD(model.parameters(), lr=0.01)
session.prepare(model, optimizer, second)
session.state["between"] = 0
one = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(3):
    for bx, by in one:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
    if session.agree({leave}):
        break
if not session.catching_up:
    mark("between")
    time.sleep(3)
session.state["between"] += 1
two = session.loader(DataLoader(TensorDataset(x[:48], -y[:48]), batch_size=12))
for _ in session.epochs(12):
    for bx, by in two:
        second.zero_grad()
        (model(bx) - by).square().mean().backward()
        second.step()
assert session.state["between"] == 1, session.state
session.save(model)
"""


@pytest.mark.parametrize("leave", [True, False], ids=["left early", "whole"])
def test_who_comes_between_two_loops_does_what_is_between_them_once(tmp_path: Path, leave: bool) -> None:
    with running(tmp_path, BETWEEN.format(leave=leave), pause=0.1, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: marks(group, "a"))
        group.join(newcomer)
        end_alike(group)
        assert newcomer in group.members


CALL_BEFORE_DATA = """
import time
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for epoch in session.epochs(4):
    if epoch == 1 and worker == "b":
        mark("away")
        time.sleep(60)
    session.barrier()
    for bx, by in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
session.save(model)
"""


def test_a_new_generation_begins_from_one_who_waits_in_a_call_before_an_epoch(tmp_path: Path) -> None:
    """Others take its state while it stands there."""
    with running(tmp_path, CALL_BEFORE_DATA, workers="ab", later="d") as group:
        waits, away = group.members
        newcomer = group.called("d")
        group.until(lambda: marks(group, "b"))
        away.signal(signal.SIGKILL)
        group.until(lambda: not away.alive)
        group.start_over(waits, newcomer)
        end_alike(group)


ALL_PASS_OVER = """
x[1] = torch.nan
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.99)
session.prepare(model, optimizer, scheduler)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(10):
    for bx, by in loader:
        if not bx.isfinite().all():
            continue
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
        scheduler.step()
mark(str(scheduler.last_epoch))
session.save(model)
"""


def test_what_all_had_passed_over_is_no_step_for_who_comes_by_it_later(tmp_path: Path) -> None:
    with running(tmp_path, ALL_PASS_OVER, pause=0.15, workers="a", later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 4)
        group.fetch(newcomer)
        group.until(lambda: group.committed() >= 17)
        group.join(newcomer)
        end_alike(group)
        assert marks(group, "a") == marks(group, "d")


PASSED_OVER_WHERE_IT_COUNTS = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24), counted=True)
for number, (bx, by) in enumerate(loader):
    if worker == "b" and number == 2:
        continue
    optimizer.zero_grad()
    (model(bx) - by).square().mean().backward()
    optimizer.step()
session.save(model)
"""


def test_who_passes_a_batch_over_in_a_loop_that_counts_them_is_told(tmp_path: Path) -> None:
    """It would be given one more than the others, and count on from there."""
    with running(tmp_path, PASSED_OVER_WHERE_IT_COUNTS) as group:
        one_is_told(group, "with session.weigh(0) before")


STOPS_EARLY = """
import time
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
best, since = 1e9, 0
for epoch in range(16):
    for bx, by in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        loss = float((model(x) - y).square().mean())
    best, since = (loss, 0) if loss < best else (best, since + 1)
    if session.agree(since >= 2):
        break
session.save(model)
"""


def test_a_newcomer_does_not_leave_loops_by_what_has_not_moved_while_it_catches_up(tmp_path: Path) -> None:
    with running(tmp_path, STOPS_EARLY, pause=0.15, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 20)
        group.join(newcomer)
        end_alike(group)
        assert newcomer in group.members


LAST_STEP = """
import time
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps={updates})
scaler = torch.amp.GradScaler("cpu", enabled={scaled})
model, optimizer, scheduler, scaler = session.prepare(model, optimizer, scheduler, scaler)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24, shuffle=True))
session.state["batches"] = 0
for epoch in session.epochs(2):
    for bx, by in loader:
        loss = (model(bx) - by).square().mean()
        if {dies} and worker == "b" and session.state["batches"] == 3:
            mark("last")
            time.sleep(60)
        scaler.scale(loss).backward()
        assert sum(p.grad.norm() for p in model.parameters()) > 0
        session.state["batches"] += 1
        if session.state["batches"] % {every} == 0:
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            scheduler.step()
assert scheduler.last_epoch == {updates}, scheduler.last_epoch
session.save(model)
"""


@pytest.mark.parametrize(
    ("every", "scaled"),
    [(1, False), (2, False), (1, True)],
    ids=["plain", "gradients summed up over two batches", "a scaler"],
)
def test_who_is_lost_in_an_epochs_last_step_costs_no_step_more(
    tmp_path: Path, every: int, scaled: bool
) -> None:
    """The others give their batch up, and share the same one out anew."""
    values = {"every": every, "updates": 8 // every, "scaled": scaled}
    with running(tmp_path / "undisturbed", LAST_STEP.format(dies=False, **values)) as group:
        end_alike(group)
        right = model_of(group, "a")
    with running(tmp_path / "disturbed", LAST_STEP.format(dies=True, **values)) as group:
        group.until(lambda: marks(group, "b"))
        group.lose(group.members[1])
        end_alike(group)
        assert group.committed() == 8
        for name, value in model_of(group, "a").items():
            torch.testing.assert_close(value, right[name], rtol=1e-5, atol=1e-6)


LEFT_EARLY = """
import time
model.seen = torch.nn.Parameter(torch.zeros(48))
second = torch.optim.SGD(model.parameters(), lr=0.01)
one = DataLoader(TensorDataset(x, y), batch_size=24)
two = DataLoader(TensorDataset(x[:48], -y[:48], torch.arange(48)), batch_size=12)
*_, one, two = session.prepare(model, optimizer, second, one, two)
for _ in session.epochs(3):
    for bx, by in one:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
        if session.committed.step == 2:
            break
    break
mark("between")
while worker != "b" and not Path(__file__).with_name("go").exists():
    time.sleep(0.01)
for _ in session.epochs(2):
    for bx, by, numbers in two:
        if worker == "b":
            mark("second")
        second.zero_grad()
        ((model(bx) - by).square().mean() + model.seen[numbers].mean()).backward()
        mark(" ".join(map(str, model.seen.grad.nonzero().flatten().tolist())))
        second.step()
session.save(model)
"""


def test_who_is_lost_where_others_have_begun_the_next_loop_leaves_no_sample_out(tmp_path: Path) -> None:
    """One of those who are left has its batch of the next loop in hand already; the aggregator has not."""
    with running(tmp_path, LEFT_EARLY) as group:
        lost = group.members[2]
        group.until(lambda: "second" in marks(group, "b") and marks(group, "a") and marks(group, "c"))
        lost.signal(signal.SIGKILL)
        group.until(group.broken)
        (tmp_path / "go").touch()
        group.reform()
        end_alike(group)
        trained_on = [int(mark) for mark in marks(group, "b") if mark.isdigit()]
        assert sorted(trained_on) == sorted([*range(48)] * 2)
