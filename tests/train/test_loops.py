"""What members of a group do differently within their loops, and what comes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetrain import link
from tests.support.trainers import Coordinator, coordinating, stop_all

HEAD = """
import os
import torch
from torch.utils.data import DataLoader, TensorDataset
import edgetrain

session = edgetrain.join()
worker = os.environ["EDGETRAIN_WORKER"]
x = torch.randn(96, 4, generator=torch.Generator().manual_seed(1))
y = x.sum(1, keepdim=True)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
"""


@contextmanager
def running(root: Path, text: str) -> Iterator[Coordinator]:
    """Three workers run a script that begins with the head."""
    script = root / "script.py"
    script.write_text(HEAD + text)
    with coordinating(root, script=str(script)) as group:
        group.start(group.spawn_all("a", "b", "c"))
        yield group


def digests(group: Coordinator) -> set[str]:
    return {member.last(link.Finished).digest for member in group.members}


PASSED_OVER = """
x[17] = torch.nan
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(3):
    for bx, by in loader:
        if not bx.isfinite().all():
            continue
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
assert all(p.isfinite().all() for p in model.parameters())
session.save(model)
"""


def test_who_passes_a_batch_over_goes_on_with_the_others(tmp_path: Path) -> None:
    """It takes the others' step: what it is given in its place does not count."""
    with running(tmp_path, PASSED_OVER) as group:
        group.run()
        assert len(digests(group)) == 1
        told = [member.last(link.Progress) for member in group.members]
        assert {progress.step for progress in told} == {12}
        assert any(progress.metrics.get("samplesPassedOver") for progress in told)
        stop_all(group)


OWN_NUMBERS = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(2):
    for bx, by in loader:
        drawn = session.gather(torch.rand(1))
        assert len(drawn) == session.size == len(set(drawn)), drawn
        alike = session.gather(torch.rand(1, generator=session.rng(7)))
        assert len(set(alike)) == 1, alike
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        optimizer.step()
assert session.gather(session.rank) == [0.0, 1.0, 2.0]
assert session.sum(session.is_main) == 1
session.save(model)
"""


def test_each_member_draws_numbers_of_its_own(tmp_path: Path) -> None:
    with running(tmp_path, OWN_NUMBERS) as group:
        group.run()
        assert len(digests(group)) == 1
        stop_all(group)


ANOTHER_PLACE = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for bx, by in loader:
    optimizer.zero_grad()
    (model(bx) - by).square().mean().backward()
    if worker == "b":
        (model(bx) - by).square().mean().backward()
    optimizer.step()
session.save(model)
"""


def test_members_at_different_places_of_their_loops_are_told(tmp_path: Path) -> None:
    with running(tmp_path, ANOTHER_PLACE) as group:
        group.until(lambda: all(not member.alive for member in group.members))
        errors = {member.worker: member.last(link.Failed) for member in group.members}
        assert {failed.reason for failed in errors.values()} == {"BadProgram"}
        assert "program is at a further backward of its batch, the others' at the first" in errors["b"].error


NUMBERS_ALONE = """
model, optimizer = session.prepare(model, optimizer)
for step in session.steps(6):
    session.state["sum"] = session.sum(1.0) + session.state.get("sum", 0.0)
    optimizer.zero_grad()
    model(torch.randn(4 + 4 * (worker == "a"), 4)).square().mean().backward()
    optimizer.step()
assert session.state["sum"] == 18, session.state
session.save(model)
"""


def test_numbers_of_the_programs_own_go_along(tmp_path: Path) -> None:
    with running(tmp_path, NUMBERS_ALONE) as group:
        group.run()
        assert len(digests(group)) == 1
        stop_all(group)
