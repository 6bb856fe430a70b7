"""Data that stay on their node: each worker trains on what its own sensor has recorded, of any length."""

import os
import zlib

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

node = zlib.crc32(os.environ.get("EDGETRAIN_WORKER", "").encode()) % 7
rows = 60 + 10 * node
noise = torch.randn(rows + 8, generator=torch.Generator().manual_seed(node))
windows = (torch.sin(torch.arange(rows + 8) * 0.3 + node) + 0.1 * noise).unfold(0, 9, 1)
torch.manual_seed(0)
loader = DataLoader(TensorDataset(windows[:, :8], windows[:, 8:]), batch_size=16, shuffle=True)
model = nn.Linear(8, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(3):
    for bx, by in loader:
        optimizer.zero_grad()
        loss = (model(bx) - by).square().mean()
        loss.backward()
        optimizer.step()
torch.save(model.state_dict(), "model.pt")
