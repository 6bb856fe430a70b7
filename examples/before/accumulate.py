"""An optimiser's step after every third batch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(144, 8, generator=torch.Generator().manual_seed(1))
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=12, shuffle=True)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
batch = 0
for _ in range(2):
    for bx, by in loader:
        loss = (model(bx) - by).square().mean() / 3
        loss.backward()
        batch += 1
        if batch % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()
torch.save(model.state_dict(), "model.pt")
