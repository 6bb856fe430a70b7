"""The same model and batches by torch's DDP or in a job: how long each step takes.

python -m benchmarks.programs.stepping ddp|job LOG WIDTH LAYERS SAMPLES WARM STEPS PAUSE...

A net of LAYERS square layers of WIDTH units; SAMPLES in each member's batch; PAUSE: seconds that each member
computes longer in a step. With each pause, after WARM steps, it times STEPS; then it writes one line of JSON
to LOG with the seconds of each and the bytes of memory that it holds, and goes on until it is ended.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

import edgetrain

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Slower(torch.autograd.Function):
    """Takes a pause: one part of it forward, and two on the way back, as layers do."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pause: float) -> Tensor:
        ctx.back = 2 * pause / 3
        time.sleep(pause / 3)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        time.sleep(ctx.back)
        return gradients[0], None


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear, self.pause = nn.Linear(width, width), 0.0

    def forward(self, x: Tensor) -> Tensor:
        made = torch.tanh(self.linear(x))
        return cast(Tensor, Slower.apply(made, self.pause)) if self.pause else made  # type: ignore[no-untyped-call]


def layers(width: int, count: int) -> list[Layer]:
    torch.manual_seed(0)
    return [Layer(width) for _ in range(count)]


def by_ddp(net: nn.Sequential, width: int, samples: int) -> Iterator[None]:
    """A step each time that it is asked."""
    dist.init_process_group("gloo")
    model = DistributedDataParallel(net)
    optimizer = optimizer_of(model)
    x = torch.randn(samples, width)
    while True:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        yield


def in_a_job(net: nn.Sequential, width: int, samples: int) -> Iterator[None]:
    session = edgetrain.join()
    optimizer = optimizer_of(net)
    session.prepare(net, optimizer)
    size = int(os.environ["MEMBERS"])
    x = torch.randn(8 * samples * size, width)
    loader = session.loader(TensorDataset(x), batch_size=samples * size)
    for (inputs,) in (batch for _ in session.epochs(1_000_000) for batch in loader):
        optimizer.zero_grad()
        net(inputs).square().mean().backward()
        optimizer.step()
        yield


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-4)


def timed(stepping: Iterator[None], warm: int, wanted: int) -> list[float]:
    """Seconds of each step."""
    for _ in range(warm):
        next(stepping)
    times = [time.monotonic()]
    for _ in range(wanted):
        next(stepping)
        times.append(time.monotonic())
    return [after - before for before, after in itertools.pairwise(times)]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def main() -> None:
    way, log, *numbers = sys.argv[1:8]
    width, count, samples, warm, wanted = map(int, numbers)
    torch.set_num_threads(1)
    begin, net = by_ddp if way == "ddp" else in_a_job, layers(width, count)
    stepping = begin(nn.Sequential(*net), width, samples)
    took = []
    for pause in map(float, sys.argv[8:]):
        for layer in net:
            layer.pause = pause / count
        took.append(timed(stepping, warm, wanted))
    line = json.dumps({"event": "steps", "pid": os.getpid(), "seconds": took, "bytes": resident_bytes()})
    Path(log).write_text(line + "\n")
    for _ in stepping:
        pass


if __name__ == "__main__":
    main()
