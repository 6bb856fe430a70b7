"""What members of a group do differently within their loops, and what comes of it."""

from pathlib import Path

from edgetrain import link
from tests.support.loops import end_alike, marks, one_is_told, running

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
        end_alike(group)
        told = [member.last(link.Progress) for member in group.members]
        assert {progress.step for progress in told} == {12}
        assert any(progress.metrics.get("samplesPassedOver") for progress in told)


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
        end_alike(group)


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


def test_who_is_at_another_place_of_its_loop_than_most_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    with running(tmp_path, ANOTHER_PLACE) as group:
        one_is_told(group, "program is at a further backward of its batch, the others' at the first")


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
        end_alike(group)


EVERY_OTHER = """
model, optimizer = session.prepare(model, optimizer)
session.state["taken"] = 0
for step in session.steps(12):
    if step % 2:
        continue
    optimizer.zero_grad()
    model(torch.randn(4, 4)).square().mean().backward()
    optimizer.step()
    session.state["taken"] += 1
assert session.state["taken"] == 6, session.state
session.save(model)
"""


def test_what_all_pass_over_is_no_step(tmp_path: Path) -> None:
    with running(tmp_path, EVERY_OTHER) as group:
        end_alike(group)


CALLS_BEFORE_BACKWARD = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(3):
    session.barrier()
    for bx, by in loader:
        loss = (model(bx) - by).square().mean()
        session.log(mean=session.mean(loss))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
session.save(model)
"""


def test_a_newcomer_comes_by_calls_wherever_they_stand(tmp_path: Path) -> None:
    with running(tmp_path, CALLS_BEFORE_BACKWARD, pause=0.5, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 5)
        group.lose(group.members[2])
        group.join(newcomer)
        end_alike(group)
        assert [member.worker for member in group.members] == ["a", "b", "d"]


DECIDES_BY_ITS_LOSS = """
class Seen(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(4, 1)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return self.line(x)


model = Seen()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.3)
session.prepare(model, optimizer, scheduler)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=24))
for _ in session.epochs(6):
    total = 0.0
    for bx, by in loader:
        optimizer.zero_grad()
        loss = (model(bx) - by).square().mean()
        loss.backward()
        total += loss.item()
        optimizer.step()
    scheduler.step(total)
    assert len(set(session.gather(total))) == 1
    assert len(set(session.gather(model.mean[0]))) == 1
session.save(model)
"""


def test_what_a_program_decides_by_its_loss_all_decide_alike(tmp_path: Path) -> None:
    """After backward the loss is the group's; and buffers are, also where forward puts others in their
    place."""
    with running(tmp_path, DECIDES_BY_ITS_LOSS) as group:
        end_alike(group)


SCHEDULE_OF_ITS_OWN = """
model, optimizer = session.prepare(model, optimizer)
for step in session.steps(12):
    optimizer.param_groups[0]["lr"] = 0.01 * (1 + step)
    assert session.mean(step) == step, step
    optimizer.zero_grad()
    model(torch.randn(4, 4)).square().mean().backward()
    optimizer.step()
session.save(model)
"""


def test_a_newcomer_has_the_step_numbers_of_the_others(tmp_path: Path) -> None:
    """Also of a step that others had begun with a call."""
    with running(tmp_path, SCHEDULE_OF_ITS_OWN, pause=0.4, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 5)
        group.join(newcomer)
        end_alike(group)
        assert newcomer in group.members


COUNTED = """
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(x, y), batch_size=4), counted=True)
for _ in range(2):
    for number, (bx, by) in enumerate(loader, 1):
        (model(bx) - by).square().mean().backward()
        optimizer.param_groups[0]["lr"] = 0.1 / number
        if number % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
session.save(model)
"""


def test_a_newcomer_counts_batches_as_the_others_do(tmp_path: Path) -> None:
    """Its loop has the numbers that theirs have, though they were within an epoch when it came, and between
    two steps of the optimiser."""
    with running(tmp_path, COUNTED, pause=0.3, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 27)
        group.lose(group.members[0])
        group.join(newcomer)
        end_alike(group)
        assert newcomer in group.members


A_RATE_OF_ITS_OWN = """
model, optimizer = session.prepare(model, optimizer)
for step in session.steps(750):
    optimizer.param_groups[0]["lr"] = 0.02 if worker == "b" and step < 310 else 0.01
    optimizer.zero_grad()
    (model(x[:8]) - y[:8]).square().mean().backward()
    optimizer.step()
    session.log(step=step)
session.save(model)
"""


def test_who_moves_its_parameters_otherwise_than_the_others_is_named_the_third_time(tmp_path: Path) -> None:
    """Each time they are mended; what it comes from is said until it has not come again for a while."""
    with running(tmp_path, A_RATE_OF_ITS_OWN) as group:
        end_alike(group)
        first, odd, _ = group.members
        warned = odd.last(link.Warned)
        assert warned.reason == "ParametersDiffer"
        assert "a learning rate of its own" in warned.error
        assert "(3 times so far)" in warned.error or "(4 times so far)" in warned.error
        assert first.last(link.Warned) is None
        mended = [message.reason for message in odd.said if isinstance(message, link.Mended)]
        assert "ParametersDiffer" in mended


NOT_FINITE = """
model, optimizer = session.prepare(model, optimizer)
for step in session.steps(9):
    optimizer.zero_grad()
    loss = (model(x[:8]) - y[:8]).square().mean()
    if worker == "b" and step == 3:
        loss = loss * torch.inf
    if worker == "c" and step == 6:
        loss = loss + (model.weight * 0).sqrt().sum()  # finite, and its gradient is not
    loss.backward()
    skipped = model.weight.grad is None
    assert skipped == (step in (3, 6)), (step, model.weight.grad)
    optimizer.step()
assert all(p.isfinite().all() for p in model.parameters())
session.save(model)
"""


def test_a_step_that_is_not_finite_on_one_member_is_skipped_by_all_and_counted(tmp_path: Path) -> None:
    with running(tmp_path, NOT_FINITE) as group:
        end_alike(group)
        for member in group.members:
            assert member.last(link.Progress).metrics["stepsNotFinite"] == 2


STREAM = """
class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(zip(x, y, range(96)))

step = 0
session.keep("step")
loader = session.loader(DataLoader(Stream(), batch_size=24), steps=4)
model, optimizer = session.prepare(model, optimizer)
for _ in session.epochs(5):
    for bx, by, numbers in loader:
        optimizer.zero_grad()
        (model(bx) - by).square().mean().backward()
        if done := session.committed:
            assert not done.indices or {i % 96 for i in done.indices} >= set(numbers.tolist())
            mark(" ".join(map(str, done.indices)))
        optimizer.step()
        step += 1
mark(f"steps:{step}")
session.save(model)
"""


def test_a_stream_is_shared_out_and_variables_go_along(tmp_path: Path) -> None:
    """Each sample of each epoch is in one step, whoever comes and goes."""
    with running(tmp_path, STREAM, pause=0.2, later="d") as group:
        newcomer = group.called("d")
        group.until(lambda: group.committed() >= 5)
        group.lose(group.members[0])
        group.join(newcomer)
        end_alike(group)
        assert newcomer in group.members
        *numbers, steps = marks(group, "b")
        assert sorted(map(int, numbers)) == list(range(5 * 96))
        assert steps == marks(group, "d")[-1] == "steps:20"
