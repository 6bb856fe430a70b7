"""Gradients on their way into the reduced vector: in buckets, while backward runs, and never half of one."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from edgetrain.engine import buckets
from edgetrain.engine.packing import Packing
from edgetrain.engine.state.flat_model import FlatModel

PART, LOSS = 0.25, 3.0


class Net(nn.Module):
    """Three layers, one of which may be left out, and batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.spare, self.last = (
            nn.Linear(4, 16),
            nn.BatchNorm1d(16),
            nn.Linear(16, 16),
            nn.Linear(16, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outcome: torch.Tensor = self.last(self.norm(self.first(x)))
        return outcome


def flat_of(net: nn.Module) -> FlatModel:
    return FlatModel(net, [*net.parameters()])


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(buckets, "FIRST_BYTES", 64)
    monkeypatch.setattr(buckets, "LARGEST_BYTES", 256)
    yield


def packed(net: Net, part: float = PART) -> tuple[FlatModel, torch.Tensor, list[int], Packing]:
    flat, sent = flat_of(net), list[int]()
    into = torch.full((flat.size,), torch.nan)
    packing = Packing(flat, flat.buckets(256), into, part, LOSS, sent.append)
    flat.on_gradient(packing.arrived)
    return flat, into, sent, packing


def expected(net: Net, part: float) -> torch.Tensor:
    """From the last gradient to the first; then buffers, whose gradients there are, whether to finish, loss
    and weight."""
    parameters = [*net.parameters()][::-1]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    floats = [b for b in net.buffers() if b.is_floating_point()]
    tail = [*[float(p.grad is not None) for p in parameters], 0.0, LOSS, 1.0]
    return torch.cat([t.reshape(-1) for t in [*gradients, *floats, torch.tensor(tail)]]) * part


def test_buckets_cover_the_vector_once() -> None:
    flat = flat_of(Net())
    each, of = flat.buckets(256)
    assert len(each) > 2
    assert each[0].start == 0 and each[-1].stop == flat.size
    assert all(after.start == before.stop for before, after in itertools.pairwise(each))
    places = [place for bucket in each for place in bucket.parameters]
    assert places == list(range(len(flat.trained)))
    assert all(place in each[number].parameters for place, number in enumerate(of))


def test_what_is_whole_goes_out_before_backward_is_over() -> None:
    net = Net()
    loss = net(torch.randn(8, 4)).square().mean()
    _, into, sent, packing = packed(net)
    before: list[list[int]] = []
    net.first.weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: before.append(list(sent))
    )
    loss.backward()
    assert before[0], "nothing had gone out when the first layer's turn came"
    packing.finish()
    assert sorted(sent) == list(range(len(sent))) and len(set(sent)) == len(sent)
    torch.testing.assert_close(into, expected(net, PART))
    assert not packing.spoilt


def test_who_has_no_part_brings_zeros_even_of_nan() -> None:
    net = Net()
    _, into, _, packing = packed(net, part=0.0)
    (net(torch.randn(8, 4)).mean() * torch.nan).backward()
    packing.finish()
    assert not into.any()


def test_what_changes_after_it_was_sent_is_noticed_and_packed_again() -> None:
    net = Net()
    _, into, _, packing = packed(net)
    for _ in range(2):
        net(torch.randn(8, 4)).square().mean().backward()
    packing.finish()
    assert packing.spoilt
    into *= 3  # As the first sum of three members leaves it.
    packing.again()
    torch.testing.assert_close(into, expected(net, PART))


@pytest.mark.parametrize("told", [[], [0], [1], [0, 1]])
def test_a_step_finishes_where_any_member_was_told_to_be_its_part_none(told: list[int]) -> None:
    total = torch.zeros(flat_of(Net()).size)
    for number, part in enumerate([1.0, 0.0]):
        net = Net()
        flat = flat_of(net)
        into = torch.full((flat.size,), torch.nan)
        buckets_of_it = flat.buckets(256)
        packing = Packing(flat, buckets_of_it, into, part, LOSS, lambda _: None, finish=number in told)
        net(torch.randn(8, 4)).square().mean().backward()
        packing.finish()
        total += into
    assert FlatModel.finish(total) is bool(told)
    assert (FlatModel.loss(total), FlatModel.weight(total)) == (LOSS, 1.0)


def summed(nets: list[Net], x: torch.Tensor, cut: list[int], parts: list[float]) -> FlatModel:
    """Each net goes over its rows; the last one gets the mean."""
    total = torch.zeros(flat_of(nets[0]).size)
    for net, rows, part in zip(nets, torch.split(x, cut), parts, strict=True):
        net.load_state_dict(nets[0].state_dict())
        net.eval()
        flat, into, _, packing = packed(net, part)
        net(rows).square().mean().backward()
        packing.finish()
        total += into
    flat.unpack(total)
    return flat


def alone(like: Net, x: torch.Tensor) -> Net:
    net = Net()
    net.load_state_dict(like.state_dict())
    net.eval()
    net(x).square().mean().backward()
    return net


@pytest.mark.parametrize("last", [0.5, 0.0], ids=["all", "but one that passed its batch over"])
def test_the_mean_of_those_who_bring_something_becomes_the_gradient(last: float) -> None:
    """And what nobody has a gradient of has none afterwards either."""
    nets, x = [Net(), Net(), Net()], torch.randn(8, 4)
    summed(nets, x, [2, 2, 4], [0.25, 0.25, last])
    right = alone(nets[0], x if last else x[:4])
    for ours, theirs in zip(nets[-1].parameters(), right.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad)
    assert nets[-1].spare.weight.grad is None


def test_where_nobody_brings_anything_there_are_no_gradients() -> None:
    nets, x = [Net(), Net()], torch.randn(4, 4)
    flat = summed(nets, x, [2, 2], [0.0, 0.0])
    assert all(parameter.grad is None for parameter in flat.trained)


def test_sparse_gradients_stay_sparse() -> None:
    net = nn.Embedding(10, 3, sparse=True)
    flat = flat_of(net)
    into = torch.zeros(flat.size)
    packing = Packing(flat, flat.buckets(256), into, 1.0, 0.0, lambda bucket: None)
    net(torch.tensor([2, 5, 5])).sum().backward()
    packing.finish()
    flat.unpack(into)
    assert net.weight.grad is not None and net.weight.grad.is_sparse
    assert net.weight.grad.coalesce().indices().tolist() == [[2, 5]]
