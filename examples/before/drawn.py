"""A loop that draws its data itself, and adds up gradients of several batches within a step."""

import math

import torch
from torch import nn

torch.manual_seed(1337)
data = torch.randint(0, 65, (2_000,), generator=torch.Generator().manual_seed(0))
model = nn.Sequential(nn.Embedding(65, 16), nn.Flatten(), nn.Linear(8 * 16, 65))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
for step in range(12):
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * 0.5 * (1.0 + math.cos(math.pi * step / 12))
    for _ in range(3):
        ix = torch.randint(len(data) - 8, (8,))
        x = torch.stack([data[i : i + 8] for i in ix])
        y = data[ix + 8]
        loss = nn.functional.cross_entropy(model(x), y) / 3
        loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
torch.save(model.state_dict(), "model.pt")
