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


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(buckets, "FIRST_BYTES", 64)
    monkeypatch.setattr(buckets, "LARGEST_BYTES", 256)
    yield


def packed(net: Net, part: float = PART) -> tuple[FlatModel, torch.Tensor, list[int], Packing]:
    flat, sent = FlatModel(net), list[int]()
    into = torch.full((flat.size,), torch.nan)
    packing = Packing(flat, flat.buckets(256), into, part, LOSS, sent.append)
    flat.on_gradient(packing.arrived)
    return flat, into, sent, packing


def expected(net: Net, part: float) -> torch.Tensor:
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    floats = [b for b in net.buffers() if b.is_floating_point()]
    return torch.cat([t.reshape(-1) for t in [*gradients, *floats, torch.tensor(LOSS)]]) * part


def test_buckets_cover_the_vector_once_from_its_end() -> None:
    flat = FlatModel(Net())
    each, of = flat.buckets(256)
    assert len(each) > 2
    assert each[0].stop == flat.size and each[-1].start == 0
    assert all(after.stop == before.start for before, after in itertools.pairwise(each))
    places = [place for bucket in reversed(each) for place in bucket.parameters]
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
    packing.again()
    torch.testing.assert_close(into[:-1], expected(net, PART)[:-1])


def test_the_mean_of_all_becomes_the_gradient() -> None:
    nets = [Net(), Net()]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(8, 4)
    total = torch.zeros(FlatModel(nets[0]).size)
    for net, rows in zip(nets, (x[:2], x[2:]), strict=True):
        net.eval()
        flat, into, _, packing = packed(net, part=len(rows) / len(x))
        net(rows).square().mean().backward()
        packing.finish()
        total += into
    flat.unpack(total)
    alone = Net()
    alone.load_state_dict(nets[0].state_dict())
    alone.eval()
    alone(x).square().mean().backward()
    for ours, theirs in zip(nets[1].parameters(), alone.parameters(), strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, torch.zeros_like(ours) if theirs.grad is None else theirs.grad)
