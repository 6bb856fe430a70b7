"""Steps of a model's vector through a bare process group, packed in each way, on every rank."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from edgetrain_protocol.strategy import Payload, Reduction

WIDTH = 160
BUFFERS = 7


@dataclass(frozen=True)
class Summed:
    """What one rank had after each of its steps, and of all of them together."""

    totals: list[bytes]
    brought: "np.ndarray[Any, Any]"
    """What this rank has put in, over all steps."""
    got: "np.ndarray[Any, Any]"
    """The sums, over all steps."""
    left: "np.ndarray[Any, Any]"
    """The residue in the end."""
    factors: bytes | None


class Net(nn.Module):
    """Matrices, vectors and a float buffer, in several buckets."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)]
        self.layers = nn.Sequential(*layers)
        self.register_buffer("mean", torch.zeros(BUFFERS))


def summed(
    group: Any,
    kind: str,
    hub: int,
    payloads: list[Payload],
    small_bytes: int = 0,
    nan_step: int = -1,
    largest: tuple[int, ...] = (1 << 12, 1 << 30),
) -> Summed:
    """As many steps as payloads, one after another, in buckets that are by turns so large.

    Gradients are the same at each step but for noise, and of very different sizes: what rounding takes from
    the small ones would be missed for good.
    """
    from edgetrain.engine import buckets
    from edgetrain.engine.formation import ring, star
    from edgetrain.engine.formation.reducers import reducer_of
    from edgetrain.engine.state.carried import NOTHING_CARRIED
    from edgetrain.engine.state.flat_model import FlatModel
    from edgetrain.engine.summations import summation_of

    ring.SMALL_BYTES, star.PIECE_BYTES = small_bytes, 1 << 12
    buckets.FIRST_BYTES = 1 << 30
    flat, reducer = FlatModel(net := Net(), [*net.parameters()]), reducer_of(Reduction(kind), group, hub)
    noise = torch.Generator().manual_seed(group.rank)
    always = torch.randn(flat.size, generator=noise) * 10.0 ** torch.randint(
        -4, 1, (flat.size,), generator=noise
    )
    carried, totals = NOTHING_CARRIED, []
    brought, got = torch.zeros(flat.size, dtype=torch.float64), torch.zeros(flat.size, dtype=torch.float64)
    for step, payload in enumerate(payloads):
        vector = always + torch.randn(flat.size, generator=noise) * always.abs()
        if step == nan_step and group.rank == 1:
            vector[3] = torch.nan
        mine = vector.clone()
        cut, room = flat.buckets(largest[step % len(largest)]), partial(torch.full, (flat.size,), torch.nan)
        summation = summation_of(payload, flat, cut, vector, carried, room)
        summation.sum(reducer, lambda bucket: None)
        totals.append(vector.numpy().tobytes())
        if step == nan_step:
            assert not vector.isfinite().all()
        else:
            brought += mine
            got += vector
        carried = summation.after
    left = torch.zeros(flat.size) if carried.residue is None else carried.residue
    factors = None if carried.factors is None else carried.factors.numpy().tobytes()
    return Summed(totals, brought.numpy(), got.numpy(), left.numpy(), factors)


def trained(group: Any, kind: str, hub: int, payload: Payload, steps: int) -> tuple[list[float], bytes]:
    """Fit a net to a function, each rank on samples of its own, by plain gradient descent.

    Returns:
        The mean loss of each step, and the parameters in the end.
    """
    from edgetrain.engine.buckets import LARGEST_BYTES
    from edgetrain.engine.formation import ring
    from edgetrain.engine.formation.reducers import reducer_of
    from edgetrain.engine.packing import Packing
    from edgetrain.engine.state.carried import NOTHING_CARRIED
    from edgetrain.engine.state.flat_model import FlatModel
    from edgetrain.engine.summations import summation_of

    ring.SMALL_BYTES = 0
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(1 + group.rank))
    y = (x[:, :4].prod(1, keepdim=True).tanh() + x[:, 4:8].sum(1, keepdim=True)) / 2
    flat, reducer = FlatModel(net, [*net.parameters()]), reducer_of(Reduction(kind), group, hub)
    cut = flat.buckets(LARGEST_BYTES)
    carried, losses, optimizer = NOTHING_CARRIED, [], torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        vector = torch.empty(flat.size)
        packing = Packing(flat, cut, vector, 1 / group.size, float(loss), lambda bucket: None)
        packing.again()
        summation = summation_of(payload, flat, cut, vector, carried, lambda: torch.empty(flat.size))
        summation.sum(reducer, lambda bucket: None)
        carried = summation.after
        flat.unpack(vector)
        optimizer.step()
        losses.append(flat.loss(vector))
    return losses, flat.whole().numpy().tobytes()
