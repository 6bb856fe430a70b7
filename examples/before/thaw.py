"""A body that is trained from the third epoch on."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(128, 8, generator=torch.Generator().manual_seed(1))
loader = DataLoader(TensorDataset(x, x[:, :2].prod(1, keepdim=True)), batch_size=32, shuffle=True)
body, head = nn.Linear(8, 16), nn.Linear(16, 1)
model = nn.Sequential(body, nn.ReLU(), head)
body.requires_grad_(False)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
for epoch in range(4):
    body.requires_grad_(epoch >= 2)
    for bx, by in loader:
        optimizer.zero_grad()
        loss = (model(bx) - by).square().mean()
        loss.backward()
        optimizer.step()
torch.save(model.state_dict(), "model.pt")
