"""The session of a program that runs alone: its loop stays its own."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from edgetrain.engine.errors import BadProgram
from edgetrain.session import Session
from tests.support.alone import DATA, X, loss_of, prepared, train


def test_alone_it_does_what_the_plain_loop_does(session: Session) -> None:
    model, optimizer = prepared(session)
    loader, seen = session.loader(DataLoader(DATA, batch_size=8, shuffle=True)), []
    for _ in session.epochs(3):
        for batch in loader:
            train(model, optimizer, batch)
            seen.append(batch)
    assert len(seen) == 9 == 3 * len(loader)
    assert sorted(torch.cat([x for x, _ in seen[:3]]).tolist()) == sorted(X.tolist())
    assert not torch.equal(torch.cat([x for x, _ in seen[:3]]), torch.cat([x for x, _ in seen[3:6]]))
    torch.manual_seed(0)
    plain = nn.Linear(4, 1)
    plain_optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    for batch in seen:
        train(plain, plain_optimizer, batch)
    assert torch.equal(model.weight, plain.weight)
    assert Path(session.save(model)).is_file()


def test_what_only_a_group_needs_works_alone(session: Session) -> None:
    with pytest.raises(BadProgram, match="nothing was trained so far"):
        session.mean(3)
    prepared(session)
    next(iter(session.loader(DataLoader(DATA, batch_size=8))))
    assert (session.mean(3), session.sum(3), session.gather(3), session.agree(True)) == (3, 3, [3], True)
    assert (session.rank, session.size, session.is_main, session.alone) == (0, 1, True, True)
    assert not session.finishing
    session.barrier()
    assert torch.equal(torch.rand(3, generator=session.rng(7)), torch.rand(3, generator=session.rng(7)))
    assert not torch.equal(torch.rand(3, generator=session.rng(7)), torch.rand(3, generator=session.rng(8)))


def test_a_pass_outside_of_a_loop_over_epochs_is_a_loop_of_its_own(session: Session) -> None:
    model, optimizer = prepared(session)
    loader = session.loader(DataLoader(DATA, batch_size=8, drop_last=True, shuffle=True))
    passes = []
    for _ in range(3):
        batches = []
        for batch in loader:
            train(model, optimizer, batch)
            batches.append(batch[0])
        assert session.committed is not None
        passes.append((session.committed.epoch, torch.cat(batches)))
        assert session._program.running.engine.meter.progress.percent == 0, "nobody else knows how many"
    assert [(epoch, len(x)) for epoch, x in passes] == [(0, 16), (1, 16), (2, 16)]
    assert not torch.equal(passes[0][1], passes[1][1])


def test_loops_one_after_another_have_data_of_their_own(session: Session) -> None:
    model, optimizer = prepared(session)
    first, second = session.loader(DataLoader(DATA, batch_size=8)), session.loader(X[:6], batch_size=3)
    seen = []
    for epoch in session.epochs(2):
        for batch in first:
            train(model, optimizer, batch)
            seen.append((epoch, len(batch[0])))
    for epoch in session.epochs(2):
        for x in second:
            train(model, optimizer, [x, x.sum(1, keepdim=True)])
            seen.append((epoch, len(x)))
    for step in session.steps(2):
        train(model, optimizer, [X, X.sum(1, keepdim=True)])
        seen.append((step, len(X)))
    epochs = [(epoch, size) for epoch in (0, 1) for size in (8, 8, 4)]
    assert seen == [*epochs, (0, 3), (0, 3), (1, 3), (1, 3), (0, 20), (1, 20)]


def test_a_pass_is_not_gone_on_with_after_another_has_begun(session: Session) -> None:
    prepared(session)
    first, second = session.loader(DataLoader(DATA, batch_size=8)), session.loader(X[:6], batch_size=3)
    with pytest.raises(BadProgram, match="after another pass had begun: go through one at a time"):
        list(zip(first, second, strict=False))


def test_a_loop_goes_through_one_loader_once_an_epoch(session: Session) -> None:
    model, optimizer = prepared(session)
    first, second = session.loader(DataLoader(DATA, batch_size=8)), session.loader(X[:6], batch_size=3)
    for _ in session.epochs(2):
        for batch in first:
            train(model, optimizer, batch)
        with pytest.raises(BadProgram, match="gone through twice in an epoch"):
            next(iter(first))
    for _ in session.epochs(2):
        for x in second:
            train(model, optimizer, [x, x.sum(1, keepdim=True)])
        break
    with pytest.raises(BadProgram, match=r"a loop over session\.epochs goes through one loader"):
        for _ in session.epochs(2):
            for batch in first:
                train(model, optimizer, batch)
                break
            next(iter(second))


def test_an_epoch_that_is_left_early_is_not_gone_on_with(session: Session) -> None:
    model, optimizer = prepared(session)
    loader, seen = session.loader(DataLoader(DATA, batch_size=8, shuffle=True)), []
    for epoch in session.epochs(3):
        for batch in loader:
            train(model, optimizer, batch)
            assert session.committed is not None
            seen.append((epoch, session.committed.epoch, len(batch[0])))
            if epoch == 1:
                break
    assert seen == [(0, 0, 8), (0, 0, 8), (0, 0, 4), (1, 1, 8), (2, 2, 8), (2, 2, 8), (2, 2, 4)]


def test_the_loops_can_be_left_for_good(session: Session, tmp_path: Path) -> None:
    model, optimizer = prepared(session)
    loader = session.loader(DataLoader(DATA, batch_size=8))
    for epoch in session.epochs(1000):
        for batch in loader:
            train(model, optimizer, batch)
        if session.agree(epoch == 2):
            break
    assert session.save() == str(tmp_path / "model" / "model.safetensors")


def test_a_batch_can_be_passed_over_and_is_counted(session: Session) -> None:
    model, optimizer = prepared(session)
    given = []
    for batch in session.loader(DataLoader(DATA, batch_size=8)):
        given.append(batch[0])
        if len(given) == 1:
            continue
        train(model, optimizer, batch)
    assert torch.equal(torch.cat(given), X)
    assert session.committed is not None and session.committed.step == 2


def test_a_program_that_never_trains_is_told(session: Session) -> None:
    model, _ = prepared(session)
    with pytest.raises(BadProgram, match="no backward was called of any batch"):
        for batch in session.loader(DataLoader(DATA, batch_size=8)):
            torch.autograd.grad(loss_of(model, batch), [*model.parameters()])


def test_gradients_add_up_over_batches(session: Session) -> None:
    model, optimizer = prepared(session)
    right = torch.zeros(1, 4)
    for number, batch in enumerate(session.loader(DataLoader(DATA, batch_size=8))):
        twin = nn.Linear(4, 1)
        twin.load_state_dict(model.state_dict())
        loss_of(twin, batch).backward()  # type: ignore[no-untyped-call]
        loss_of(model, batch).backward()  # type: ignore[no-untyped-call]
        assert twin.weight.grad is not None and model.weight.grad is not None
        right += twin.weight.grad
        torch.testing.assert_close(model.weight.grad, right)
        if number == 1:
            optimizer.step()


def test_a_loop_without_a_loader(session: Session) -> None:
    model, optimizer = prepared(session)
    taken = []
    for step in session.steps(5):
        train(model, optimizer, [X, X.sum(1, keepdim=True)])
        taken.append(step)
    assert taken == [0, 1, 2, 3, 4]
    with pytest.raises(BadProgram, match="it must be 1 or more"):
        session.steps(0)
