"""A loop over epochs of the program's own, as frameworks have: each pass through the loader is an epoch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

x = torch.randn(160, 4, generator=torch.Generator().manual_seed(1))
y = x.sum(1, keepdim=True)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)

for _ in range(4):
    for inputs, targets in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()
    scheduler.step()

torch.save(model.state_dict(), "model.pt")
