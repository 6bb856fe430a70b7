"""What cannot work is refused, with what to write in its place."""

import warnings
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from edgetrain.engine.errors import BadProgram
from edgetrain.session import Session
from tests.support.alone import DATA, loss_of, prepared, train


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
        (lambda x, y: torch.stack([(x - y).square().mean(), x.abs().mean()]).sum(), False),
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
