"""Steps that are pulled back to the version that a group's work is measured from."""

import numpy as np
import pytest
import torch
from torch import nn

from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.shared_vector import SharedVectors
from edgetrain.loop.proximal import ProximalTerm
from edgetrain.rounds.envoy import Ledger
from edgetrain.rounds.group_work import GroupWork
from edgetrain_protocol.history import History

OPTIMUM, LEARNING_RATE = 4.0, 0.1


class Bed:
    """A model whose loss is half the square of each parameter's distance from OPTIMUM, in a group whose base
    is a version of ones."""

    def __init__(self, mu: float) -> None:
        self.model = nn.Linear(3, 2)
        self.vectors = SharedVectors(FlatModel(self.model, list(self.model.parameters())))
        self.term = ProximalTerm(self.vectors)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE)
        work = GroupWork(Ledger(History(1, "a", 1), 0), proximal=mu)
        self.vectors.follow(None, work, np.ones(8, np.float32))

    def step(self) -> None:
        self.optimizer.zero_grad()
        weight, bias = self.model.weight, self.model.bias
        loss = 0.5 * (((weight - OPTIMUM) ** 2).sum() + ((bias - OPTIMUM) ** 2).sum())
        loss.backward()  # type: ignore[no-untyped-call]
        self.term.add(self.optimizer)
        self.optimizer.step()
        self.term.take_away()


@pytest.mark.parametrize("mu", [0.0, 0.5, 2.0])
def test_it_comes_to_the_optimum_of_loss_and_distance(mu: float) -> None:
    bed = Bed(mu)
    for _ in range(300):
        bed.step()
    for parameter in bed.model.parameters():
        torch.testing.assert_close(
            parameter.detach(), torch.full_like(parameter, (OPTIMUM + mu * 1.0) / (1 + mu))
        )


def test_the_program_finds_its_own_gradients_after_the_step() -> None:
    bed = Bed(2.0)
    bed.step()
    bed.step()
    grads = [parameter.grad for parameter in bed.model.parameters()]
    # After one step without a pull, from the base itself: 1 + 0.1 * 3.
    for grad in grads:
        assert grad is not None
        torch.testing.assert_close(grad, torch.full_like(grad, 1.3 - OPTIMUM))


def test_what_has_no_gradient_or_a_sparse_one_is_left_alone() -> None:
    bed = Bed(2.0)
    weight, bias = bed.model.weight, bed.model.bias
    with torch.no_grad():
        weight.add_(1.0)
        bias.add_(1.0)
    weight.grad = torch.sparse_coo_tensor(torch.zeros(2, 1), [1.0], (2, 3), check_invariants=True)
    bed.term.add(bed.optimizer)
    assert weight.grad.is_sparse and bias.grad is None
    bed.term.take_away()


def test_a_member_that_takes_the_state_of_another_pulls_as_that_does() -> None:
    theirs, ours = Bed(0.5), Bed(0.0)
    ours.vectors.load_state_dict(theirs.vectors.state_dict())
    with torch.no_grad():
        for parameter in ours.model.parameters():
            parameter.fill_(2.0)
    ours.step()
    for parameter in ours.model.parameters():
        expected = 2.0 - LEARNING_RATE * (2.0 - OPTIMUM + 0.5 * (2.0 - 1.0))
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected))
