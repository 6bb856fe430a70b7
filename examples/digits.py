"""Train a small convolutional net on scikit-learn's 1,797 scanned digits, on however many workers there are.

Runs alone too: python digits.py --epochs 20
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgetrain

HELD_OUT = 5
"""Every fifth digit is kept back to measure by."""


def digits_file() -> Path:
    """The trainer image holds the file alone; elsewhere it is one of scikit-learn's.

    Which is not imported: that costs a slow node many seconds.
    """
    if (own := Path(sys.prefix, "share", "edgetrain", "digits.csv.gz")).exists():
        return own
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the digits come with scikit-learn: pip install scikit-learn")
    return Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """All images (1797, 1, 8, 8) in 0 to 1, and what they show."""
    rows = torch.from_numpy(np.loadtxt(digits_file(), delimiter=",", dtype=np.float32))
    return rows[:, :-1].reshape(-1, 1, 8, 8) / 16, rows[:, -1].long()


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64, help="of a whole step, over all workers")
    options = parser.parse_args()

    session = edgetrain.join()
    images, labels = digits()
    held_out = torch.arange(len(labels)) % HELD_OUT == 0

    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    train_set = TensorDataset(images[~held_out], labels[~held_out])
    loader = DataLoader(train_set, batch_size=options.batch_size, shuffle=True)
    model, optimizer, loader = session.prepare(model, optimizer, loader)
    for _ in session.epochs(options.epochs):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()

    model.eval()
    with torch.no_grad():
        right = model(images[held_out]).argmax(1) == labels[held_out]
    accuracy = right.float().mean().item()
    session.log(accuracy=accuracy)
    print(f"held-out accuracy: {accuracy:.3f}", flush=True)
    print(f"model: {session.save(model)}", flush=True)


if __name__ == "__main__":
    main()
