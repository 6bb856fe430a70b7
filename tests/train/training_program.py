"""A small real training program that writes down what each committed step was made of.

python training_program.py LOG EPOCHS PAUSE [WIDTH [FEATURE]]

A number of seconds in the file LOG.away sends it away for so long, into code of its own. It pauses so many
seconds in each step, so that a slow machine's start of a program does not outlast the training; no longer
once there is a file LOG.hurry. WIDTH, 8 as it comes: hidden units, which set the bytes of a reduction.
FEATURE: the only one of FEATURES that is not 0 in this worker's data, of which it has a batch more where that
is odd.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

import edgetrain

SAMPLES, BATCH, FEATURES = 96, 24, 4


def be_away(asked: Path) -> None:
    if asked.exists():
        seconds = float(asked.read_text())
        asked.unlink()
        time.sleep(seconds)


def batches_of(feature: int) -> int:
    """That a worker has for itself."""
    return 2 + feature % 2


def data(feature: int | None) -> TensorDataset:
    x = torch.randn(SAMPLES, FEATURES, generator=torch.Generator().manual_seed(1))
    if feature is not None:
        x = x[: BATCH * batches_of(feature)]
        x = nn.functional.pad(x[:, feature : feature + 1], (feature, FEATURES - feature - 1))
    return TensorDataset(x, x.sum(1, keepdim=True))


def main(log: Path, epochs: int, pause: float, width: int = 8, feature: int | None = None) -> None:
    def write(**line: Any) -> None:
        with log.open("a") as file:
            file.write(json.dumps({"pid": os.getpid(), "at": time.monotonic(), **line}) + "\n")

    write(event="start")
    session = edgetrain.join()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, width), nn.Tanh(), nn.Linear(width, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    session.prepare(model, optimizer)
    hurry = log.with_suffix(".hurry")
    loader = session.loader(data(feature), batch_size=BATCH, local=feature is not None)
    for inputs, targets in (batch for _ in session.epochs(epochs) for batch in loader):
        time.sleep(0 if hurry.exists() else pause)
        be_away(log.with_suffix(".away"))
        optimizer.zero_grad()
        (model(inputs) - targets).square().mean().backward()
        optimizer.step()
        step = session.committed
        if step is not None and step.members:
            content = [step.epoch, *sorted(step.indices)]
            write(event="commit", step=step.step, epoch=step.epoch, count=step.members, content=content)
    session.save(model)
    write(event="finished", model=[p.flatten().tolist() for p in model.parameters()])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *map(int, sys.argv[4:]))
