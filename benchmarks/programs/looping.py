"""A loop over a DataLoader, plain or by a session that is alone.

python -m benchmarks.programs.looping WAY WIDTH STEPS WORKERS

Prints what a step took, after some to warm up, as JSON: seconds, and seconds of processor with its loader's
processes.
"""

import json
import os
import sys
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import edgetrain
from edgetrain.engine.dynamo_import import spare_the_compiler

BATCH, BATCHES, WARM = 32, 40, 20


class Samples(Dataset[Tensor]):
    """Made one by one, as a program's own data sets make them."""

    def __init__(self, width: int) -> None:
        self._x = torch.randn(BATCH * BATCHES, width)

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> Tensor:
        return self._x[index]


def plain(loader: DataLoader[Tensor], net: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    # What a program would pay too that trains on a device: torch's compiler is not imported by either way.
    spare_the_compiler()
    while True:
        yield from loader


def by_session(
    loader: DataLoader[Tensor], net: nn.Module, optimizer: torch.optim.Optimizer
) -> Iterator[Tensor]:
    session = edgetrain.join()
    session.prepare(net, optimizer)
    shared = session.loader(loader)
    for _ in session.epochs(1_000_000):
        yield from shared


WAYS = {"plain": plain, "session": by_session}


def processor_seconds() -> float:
    """Of this process and of those of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    way, width, steps, workers = sys.argv[1], *map(int, sys.argv[2:])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(width, width), nn.ReLU())))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loader = DataLoader(Samples(width), batch_size=BATCH, shuffle=True, num_workers=workers)
    began, processor = 0.0, 0.0
    for number, batch in enumerate(WAYS[way](loader, net, optimizer)):
        if number == WARM:
            began, processor = time.monotonic(), processor_seconds()
        if number == WARM + steps:
            break
        optimizer.zero_grad()
        loss = net(batch).square().mean()
        loss.backward()
        optimizer.step()
    seconds = (time.monotonic() - began) / steps
    print(json.dumps({"seconds": seconds, "processor": (processor_seconds() - processor) / steps}))


if __name__ == "__main__":
    main()
