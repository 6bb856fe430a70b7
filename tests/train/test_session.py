"""The session of a program that runs alone: its loop stays its own, and what cannot work is refused."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from edgetrain.credentials import Credentials
from edgetrain.engine.errors import BadProgram, EmptyDataset, TrainingError
from edgetrain.engine.settings import Settings
from edgetrain.session import Session

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
DATA = TensorDataset(X, X.sum(1, keepdim=True))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    settings = Settings("", "", 0, tmp_path / "checkpoint", tmp_path / "model", 1, Credentials.from_env())
    return Session(None, settings)


def prepared(session: Session) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    session.prepare(model, optimizer)
    return model, optimizer


def loss_of(model: nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
    outcome: torch.Tensor = (model(batch[0]) - batch[1]).square().mean()
    return outcome


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batch: list[torch.Tensor]) -> None:
    optimizer.zero_grad()
    loss_of(model, batch).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def trained_on(model: nn.Linear, batch: torch.Tensor) -> torch.Tensor:
    """The batch, of which some backward is called."""
    model.weight.mean().backward()  # type: ignore[no-untyped-call]
    return batch


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


class Doubled(Dataset[int]):
    """Gives many at once."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        raise AssertionError("one by one")

    def __getitems__(self, indices: list[int]) -> list[int]:
        return [2 * index for index in indices]


def squared(items: list[int]) -> torch.Tensor:
    return torch.tensor(items) ** 2


@pytest.mark.parametrize("workers", [0, 2])
def test_data_come_as_the_programs_own_loader_makes_them(session: Session, workers: int) -> None:
    model, _ = prepared(session)
    loader = DataLoader(Doubled(), batch_size=4, collate_fn=squared, num_workers=workers)
    found = [trained_on(model, batch) for batch in session.loader(loader)]
    assert [batch.tolist() for batch in found] == [[0, 4, 16, 36], [64, 100, 144, 196], [256, 324]]


def test_a_sampler_of_ones_own_is_asked_once_an_epoch(session: Session) -> None:
    model, _ = prepared(session)
    sampler = WeightedRandomSampler([1.0, 0.0, 1.0, 0.0], num_samples=6)
    loader = session.loader(DataLoader(TensorDataset(torch.arange(4)), batch_size=3, sampler=sampler))
    epochs = [
        torch.cat([trained_on(model, batch) for (batch,) in loader]).tolist() for _ in session.epochs(4)
    ]
    assert all(set(epoch) <= {0, 2} and len(epoch) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


class Alike:
    """Long ones with long ones: each batch is of samples that follow one another."""

    def __iter__(self) -> Iterator[list[int]]:
        starts = torch.randperm(5).tolist()
        return iter([list(range(4 * start, 4 * start + 4)) for start in starts])

    def __len__(self) -> int:
        return 5


def test_a_batch_sampler_of_ones_own_says_which_samples_go_together(session: Session) -> None:
    model, _ = prepared(session)
    loader = session.loader(DataLoader(TensorDataset(torch.arange(20)), batch_sampler=Alike()))
    epochs = [[trained_on(model, batch).tolist() for (batch,) in loader] for _ in session.epochs(3)]
    together = [list(range(start, start + 4)) for start in range(0, 20, 4)]
    assert all(sorted(epoch) == together for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_set_of_ones_own_may_grow_while_it_trains(session: Session) -> None:
    model, _ = prepared(session)
    recorded: Any = list(range(4))
    loader = session.loader(DataLoader(recorded, batch_size=2), local=True)
    seen = []
    for _ in session.epochs(3):
        seen.append([trained_on(model, batch).tolist() for batch in loader])
        recorded.append(len(recorded))
    assert seen == [[[0, 1], [2, 3]], [[0, 1], [2, 3], [4]], [[0, 1], [2, 3], [4, 5]]]


def test_own_data_are_counted_by_label(session: Session) -> None:
    model, _ = prepared(session)
    data = TensorDataset(torch.arange(40), torch.arange(40).clamp(max=35))
    loader = session.loader(DataLoader(data, batch_size=8), local=True, labels=lambda batch: batch[1])
    for _ in session.epochs(2):
        for batch in loader:
            trained_on(model, batch)
    told = session._program.running.engine.meter.progress
    assert told.local_samples == sum(told.local_labels.values()) == 40
    assert (told.local_labels["35"], told.local_labels["others"], len(told.local_labels)) == (5, 5, 32)
    with pytest.raises(BadProgram, match="which are of local data: add local=True"):
        session.loader(DataLoader(data, batch_size=8), labels=lambda batch: batch[1])


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        yield 1


class Once(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return 1


class Pairs:
    def __iter__(self) -> Iterator[list[int]]:
        yield [0, 1]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (lambda: DataLoader(Endless(), batch_size=2), BadProgram, "a stream without a length: say how many"),
        (lambda: DataLoader(Once(), batch_size=2), BadProgram, "a stream that cannot be begun anew"),
        (lambda: DataLoader(Endless(), num_workers=2), BadProgram, "each would give all of it: leave"),
        (
            lambda: DataLoader(Endless(), batch_size=None),
            BadProgram,
            "without batches .*: give it a batch_size",
        ),
        (lambda: DataLoader(DATA, batch_sampler=Pairs()), BadProgram, "Pairs, which has no length"),
        (
            lambda: DataLoader(DATA, batch_sampler=[[0], [1, 2], [3]]),
            BadProgram,
            "batches have 1 to 2 samples",
        ),
        (lambda: DataLoader(DATA, batch_sampler=[]), EmptyDataset, "the batch sampler list gives no batch"),
        (lambda: DataLoader(DATA, batch_size=None), BadProgram, "without batches .*: give it a batch_size"),
        (
            lambda: DataLoader(DATA, batch_size=32, drop_last=True),
            EmptyDataset,
            "20 samples are less than one batch",
        ),
        (list, EmptyDataset, "no samples: check the path"),
        (lambda: 7, BadProgram, "a int, which gives"),
    ],
)
def test_data_that_cannot_be_shared_out(
    session: Session, data: Callable[[], Any], error: type[TrainingError], words: str
) -> None:
    prepared(session)
    with pytest.raises(error, match=words):
        session.loader(data())


def test_data_of_ones_own_come_by_a_loader_of_any_kind(session: Session) -> None:
    model, optimizer = prepared(session)
    loader = session.loader(DataLoader(DATA, batch_size=8), local=True)
    assert len(loader) == 3
    seen = []
    for epoch in session.epochs(2):
        for batch in loader:
            train(model, optimizer, batch)
            seen.append((epoch, len(batch[0])))
    assert seen == [(epoch, count) for epoch in range(2) for count in (8, 8, 4)]


def test_a_stream_needs_a_length_of_its_epochs(session: Session) -> None:
    model, _ = prepared(session)
    with pytest.raises(BadProgram, match="say how many steps an epoch has, by steps="):
        session.loader(DataLoader(Endless(), batch_size=2), local=True)
    loader = session.loader(DataLoader(Endless(), batch_size=2), local=True, steps=4)
    assert [trained_on(model, batch).tolist() for batch in loader] == [[1]] * 4


def test_a_stream_that_all_workers_have_is_shared_out_by_the_sample(session: Session) -> None:
    model, _ = prepared(session)

    class Numbers(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(range(7))

    loader = session.loader(DataLoader(Numbers(), batch_size=2), steps=3)
    assert len(loader) == 3
    for _ in session.epochs(2):
        assert [trained_on(model, batch).tolist() for batch in loader] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(BadProgram, match="data that have a length: leave it out"):
        session.loader(DataLoader(DATA, batch_size=2), steps=3)
    for _ in session.epochs(1):
        with pytest.raises(BadProgram, match="the stream ended after 7 samples"):
            [
                trained_on(model, batch)
                for batch in session.loader(DataLoader(Numbers(), batch_size=2), steps=4)
            ]


def test_variables_of_a_function_cannot_be_kept(session: Session) -> None:
    counter = 0
    with pytest.raises(BadProgram, match=r"session\.keep was called in test_variables_of.*session\.state"):
        session.keep("counter")
    assert counter == 0


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (lambda x, y: nn.functional.mse_loss(x, y, reduction="sum"), True),
        (lambda x, y: (x - y).square().sum(), True),
        (lambda x, y: (x - y).square().sum() / len(y), False),
        (nn.functional.mse_loss, False),
    ],
)
def test_a_loss_that_is_a_sum_is_told_of_once(
    session: Session, loss: Callable[..., torch.Tensor], told: bool
) -> None:
    model, _ = prepared(session)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for x, y in session.loader(DataLoader(DATA, batch_size=8)):
            loss(model(x), y).backward()  # type: ignore[no-untyped-call]
    assert ["the loss is a sum over its batch" in str(one.message) for one in caught] == [True] * told


def test_a_loop_without_a_loader(session: Session) -> None:
    model, optimizer = prepared(session)
    taken = []
    for step in session.steps(5):
        train(model, optimizer, [X, X.sum(1, keepdim=True)])
        taken.append(step)
    assert taken == [0, 1, 2, 3, 4]
    with pytest.raises(BadProgram, match="it must be 1 or more"):
        session.steps(0)


def test_calls_out_of_order(session: Session) -> None:
    with pytest.raises(BadProgram, match="prepare got nothing"):
        session.prepare()
    with pytest.raises(BadProgram, match="nothing was trained so far"):
        session.save()
    loader = session.loader(DataLoader(DATA, batch_size=8))
    with pytest.raises(BadProgram, match=r"call session\.prepare"):
        next(iter(loader))
    model, _ = prepared(session)
    with pytest.raises(BadProgram, match="given to the session twice"):
        session.prepare(model)
    with pytest.raises(BadProgram, match="it must be 1 or more"):
        session.epochs(0)
    next(iter(loader))
    with pytest.raises(BadProgram, match="after the first batch"):
        session.prepare(nn.Linear(1, 1))
    outer, inner = session.epochs(2), session.epochs(2)
    next(outer), next(inner)
    with pytest.raises(BadProgram, match="gone on with after another had begun"):
        next(outer)
    with pytest.raises(BadProgram, match="0 or more, such as the number of tokens"):
        session.weigh(-1)


def test_an_optimiser_that_was_not_given_to_the_session(session: Session) -> None:
    model, _ = prepared(session)
    other = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = next(iter(session.loader(DataLoader(DATA, batch_size=32))))
    with pytest.raises(BadProgram, match=r"SGD that was not given to session\.prepare"):
        train(model, other, batch)


def test_parameters_that_were_added_later(session: Session) -> None:
    model, optimizer = prepared(session)
    batch = next(iter(session.loader(DataLoader(DATA, batch_size=32))))
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    with pytest.raises(BadProgram, match="added to it after the first batch"):
        train(model, optimizer, batch)


def test_a_scheduler_that_was_not_given_to_the_session(session: Session) -> None:
    model, optimizer = prepared(session)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    batch = next(iter(session.loader(DataLoader(DATA, batch_size=32))))
    with pytest.raises(BadProgram, match=r"scheduler that was not given to session\.prepare"):
        train(model, optimizer, batch)


def test_what_an_optimiser_moves_has_to_be_in_a_module_that_was_given(session: Session) -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 1)
    session.prepare(first, torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1))
    with pytest.raises(BadProgram, match=r"a module that was not given to session\.prepare"):
        next(iter(session.loader(DataLoader(DATA, batch_size=8))))


def test_complex_parameters_are_refused(session: Session) -> None:
    weight = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    session.prepare(weight, torch.optim.SGD([weight], lr=0.1))
    with pytest.raises(BadProgram, match="keep it as two real ones"):
        next(iter(session.loader(DataLoader(DATA, batch_size=8))))


def test_single_parameters_are_trained_too(session: Session) -> None:
    weight = nn.Parameter(torch.zeros(4, 1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    session.prepare(weight, optimizer)
    for x, y in session.loader(DataLoader(DATA, batch_size=8)):
        ((x @ weight) - y).square().mean().backward()
        optimizer.step()
    assert bool(weight.detach().ne(0).all())


def test_a_backward_of_something_else_is_no_step(session: Session) -> None:
    model, optimizer = prepared(session)
    other = nn.Linear(4, 1)
    for batch in session.loader(DataLoader(DATA, batch_size=8)):
        loss_of(other, batch).backward()  # type: ignore[no-untyped-call]
        assert session.committed is None or session.committed.step < 3
        train(model, optimizer, batch)
    assert session.committed is not None and session.committed.step == 3


def test_a_step_within_backward_is_refused(session: Session) -> None:
    model, optimizer = prepared(session)
    model.weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())  # type: ignore[no-untyped-call]
    batch = next(iter(session.loader(DataLoader(DATA, batch_size=8))))
    with pytest.raises(BadProgram, match="within backward, when gradients are this worker's alone"):
        loss_of(model, batch).backward()  # type: ignore[no-untyped-call]


def test_gradients_that_have_a_graph_are_refused(session: Session) -> None:
    model, _ = prepared(session)
    batch = next(iter(session.loader(DataLoader(DATA, batch_size=8))))
    with pytest.raises(BadProgram, match=r"torch\.autograd\.grad"):
        loss_of(model, batch).backward(create_graph=True)  # type: ignore[no-untyped-call]


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def get_extra_state(self) -> dict[str, int]:
        return {"version": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        assert state == {"version": 1}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.conv(x)
        return found


def test_a_model_of_any_memory_format_is_saved(session: Session) -> None:
    model = Odd()
    session.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    for (x,) in session.loader(DataLoader(TensorDataset(torch.randn(4, 3, 4, 4)), batch_size=4)):
        model(x).square().mean().backward()
    saved = load_file(session.save(model))
    assert set(saved) == {"conv.weight", "conv.bias"} and torch.equal(saved["conv.weight"], model.conv.weight)


def test_the_former_names_say_what_to_write(session: Session) -> None:
    model = nn.Linear(4, 1)
    with pytest.warns(DeprecationWarning, match=r"session.wrap goes .* write session.prepare"):
        session.wrap(model)
    with pytest.warns(DeprecationWarning, match=r"session.batches goes .* session.loader"):
        batches = session.batches(DATA, batch_size=8)
    for batch in batches:
        with pytest.warns(DeprecationWarning, match=r"write loss.backward\(\)"):
            session.backward(model(batch.x).mean())
    with pytest.warns(DeprecationWarning, match=r"write session.save"):
        session.finish(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert session.committed is not None
