"""A small program to which one of several troubles comes: what a job's status must say of it."""

import argparse
import os
import sys
import time

import torch
from torch import nn
from torch.utils.data import TensorDataset

import edgetrain

MIB = 2**20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=100_000)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds, at each step")
    parser.add_argument("--only-on", default="", help="the node to which trouble comes; all where empty")
    parser.add_argument("--exit-with", default="", help="last words, before anything else is done")
    parser.add_argument("--allocate-mib", type=int, default=0, help="before the first step")
    parser.add_argument("--nan-after", type=int, default=0, help="steps until the loss is no number")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    troubled = args.only_on in ("", os.environ["EDGETRAIN_NODE"])
    if troubled and args.exit_with:
        sys.exit(args.exit_with)
    session = edgetrain.join()
    torch.manual_seed(0)
    x = torch.randn(512, 16)
    y = x.sum(1, keepdim=True)
    model: nn.Module = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    model, optimizer = session.prepare(model, optimizer)
    ballast = bytearray(args.allocate_mib * MIB) if troubled else bytearray()
    loader = session.loader(TensorDataset(x, y), batch_size=64)
    batches = (batch for _ in session.epochs(args.epochs) for batch in loader)
    for steps, (inputs, targets) in enumerate(batches):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        if troubled and 0 < args.nan_after <= steps:
            loss = loss * float("nan")
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        time.sleep(args.pause)
    del ballast
    session.save(model)


if __name__ == "__main__":
    main()
