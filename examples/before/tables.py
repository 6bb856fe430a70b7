"""Embeddings with sparse gradients."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
g = torch.Generator().manual_seed(1)
users, items = torch.randint(0, 200, (128,), generator=g), torch.randint(0, 50, (128,), generator=g)
rating = torch.rand(128, generator=g)
loader = DataLoader(TensorDataset(users, items, rating), batch_size=32, shuffle=True)
tables = nn.ModuleList([nn.Embedding(200, 16, sparse=True), nn.Embedding(50, 16, sparse=True)])
optimizer = torch.optim.SparseAdam(list(tables.parameters()), lr=1e-2)
for _ in range(2):
    for u, i, r in loader:
        optimizer.zero_grad()
        loss = ((tables[0](u) * tables[1](i)).sum(1) - r).square().mean()
        loss.backward()
        optimizer.step()
torch.save(tables.state_dict(), "model.pt")
