"""Train to a loss by torch's DDP with its PowerSGD hook, or in a job: how long, and how many bytes.

python -m benchmarks.programs.packed ddp|job LOG TASK LOSS PAUSE

PAUSE: seconds that each member computes longer in each step. Writes one line of JSON to LOG when the loss
over a fixed part of the data is LOSS or less: seconds since the first step, steps, bytes sent by this member.
Goes on until it is ended: others may be a step behind.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

import edgetrain
from edgetrain.payload.low_rank import GAIN, RANK

BATCH = 100
"""Of all members together."""
LOOK_STEPS = 5
SHOWN = 400
"""Samples over which the loss is looked at."""
CONTEXT, WIDTH = 32, 64
LARGE_BUCKET_MB = 200
"""One bucket: the hook ends the process where there are several on gloo."""


class Task(NamedTuple):
    model: nn.Module
    x: Tensor
    y: Tensor
    rate: float


class Letters(nn.Module):
    """A small transformer that predicts the next letter."""

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(128, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(WIDTH, 128)
        self.register_buffer(
            "mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.letters(x) + self.places.weight
        outcome: Tensor = self.out(self.layers(hidden, mask=self.mask, is_causal=True)).transpose(1, 2)
        return outcome


def digits() -> Task:
    """Handwritten digits of 8 by 8 points."""
    x, y = load_digits(return_X_y=True)
    layers = [nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return Task(nn.Sequential(*layers), torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y), 1e-3)


def transformer() -> Task:
    """English, as Python has it with it."""
    text = "\n".join(topics[name] for name in sorted(topics)).encode("ascii", "replace")
    letters = torch.tensor(list(text[: CONTEXT * 4000 + 1]))
    x, y = (letters[start : start + CONTEXT * 4000].reshape(-1, CONTEXT) for start in (0, 1))
    return Task(Letters(), x, y, 3e-3)


TASKS: dict[str, Callable[[], Task]] = {"digits": digits, "transformer": transformer}


def by_ddp(task: Task, pause: float) -> Iterator[None]:
    """A step each time that it is asked."""
    dist.init_process_group("gloo")
    model = DistributedDataParallel(task.model, bucket_cap_mb=LARGE_BUCKET_MB)
    state = powerSGD_hook.PowerSGDState(
        process_group=None,
        matrix_approximation_rank=RANK,
        start_powerSGD_iter=2,
        min_compression_rate=GAIN,
    )
    model.register_comm_hook(state, powerSGD_hook.powerSGD_hook)
    optimizer = torch.optim.Adam(model.parameters(), lr=task.rate)
    rank, size, epoch = dist.get_rank(), dist.get_world_size(), 0
    while True:
        order = torch.randperm(len(task.x), generator=torch.Generator().manual_seed(epoch))
        for batch in torch.split(order, BATCH):
            mine = batch[rank::size]
            optimizer.zero_grad()
            time.sleep(pause)
            loss = functional.cross_entropy(model(task.x[mine]), task.y[mine])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield
        epoch += 1


def in_a_job(task: Task, pause: float) -> Iterator[None]:
    session = edgetrain.join()
    optimizer = torch.optim.Adam(task.model.parameters(), lr=task.rate)
    session.prepare(task.model, optimizer)
    loader = session.loader(TensorDataset(task.x, task.y), batch_size=BATCH)
    for x, y in (batch for _ in session.epochs(1_000_000) for batch in loader):
        optimizer.zero_grad()
        time.sleep(pause)
        loss = functional.cross_entropy(task.model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield


def sent_bytes() -> int:
    """By all interfaces of this namespace but loopback."""
    lines = [line.split(":") for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
    return sum(int(counts.split()[8]) for name, counts in lines if name.strip() != "lo")


@torch.no_grad()
def shown_loss(task: Task) -> float:
    return float(functional.cross_entropy(task.model(task.x[:SHOWN]), task.y[:SHOWN]))


def main() -> None:
    way, log, name, wanted, pause = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = TASKS[name]()
    stepping = (by_ddp if way == "ddp" else in_a_job)(task, float(pause))
    next(stepping)
    begin, before, steps = time.monotonic(), sent_bytes(), 0
    loss = shown_loss(task)
    while loss > float(wanted):
        for _ in range(LOOK_STEPS):
            next(stepping)
        steps += LOOK_STEPS
        loss = shown_loss(task)
    found = {
        "seconds": time.monotonic() - begin,
        "bytes": sent_bytes() - before,
        "steps": steps,
        "loss": loss,
    }
    Path(log).write_text(json.dumps({"event": "reached", "pid": os.getpid(), **found}) + "\n")
    for _ in stepping:
        pass


if __name__ == "__main__":
    main()
