"""A stream of samples without a length, another one on each worker."""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

import edgetrain


class Stream(IterableDataset):
    def __iter__(self):
        for _ in range(256):
            x = torch.randn(8)
            yield x, x.sum()


session = edgetrain.join()
torch.manual_seed(0)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(Stream(), batch_size=32), local=True, steps=8)
for _ in session.epochs(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss = (model(x)[:, 0] - y).square().mean()
        loss.backward()
        optimizer.step()
session.save(model)
