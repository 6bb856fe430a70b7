"""A schedule by validation loss, and a loop that all members leave at the same step."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
x = torch.randn(320, 8, generator=torch.Generator().manual_seed(1))
data = TensorDataset(x, x[:, :2].prod(1, keepdim=True))
train_set, val_set = random_split(data, [256, 64], generator=torch.Generator().manual_seed(2))
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-2)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
loader = DataLoader(train_set, batch_size=64, shuffle=True)
best, bad = float("inf"), 0
for _ in range(50):
    for bx, by in loader:
        optimizer.zero_grad()
        loss = (model(bx) - by).square().mean()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        vx, vy = val_set[:]
        val = (model(vx) - vy).square().mean().item()
    scheduler.step(val)
    if val < best:
        best, bad = val, 0
    else:
        bad += 1
    if bad >= 2:
        break
torch.save(model.state_dict(), "model.pt")
