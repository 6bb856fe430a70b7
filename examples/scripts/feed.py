"""One stream of samples, the same on every worker, of which each trains on its part."""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

import edgetrain


class Stream(IterableDataset):
    def __iter__(self):
        noise = torch.Generator().manual_seed(1)
        for _ in range(256):
            x = torch.randn(8, generator=noise)
            yield x, x.sum()


session = edgetrain.join()
torch.manual_seed(0)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
model, optimizer = session.prepare(model, optimizer)
loader = session.loader(DataLoader(Stream(), batch_size=32), steps=8)
for _ in session.epochs(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss = (model(x)[:, 0] - y).square().mean()
        loss.backward()
        optimizer.step()
session.save(model)
