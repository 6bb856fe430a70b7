"""One of two heads has no gradient in most steps, and is left alone in them."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(128, 8, generator=torch.Generator().manual_seed(1))
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16, shuffle=True)
trunk, a, b = nn.Linear(8, 16), nn.Linear(16, 1), nn.Linear(16, 1)
model = nn.ModuleList([trunk, a, b])
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
step = 0
for _ in range(3):
    for bx, by in loader:
        optimizer.zero_grad()
        head = b if step % 8 == 7 else a
        loss = (head(trunk(bx).relu()) - by).square().mean()
        loss.backward()
        optimizer.step()
        step += 1
torch.save(model.state_dict(), "model.pt")
