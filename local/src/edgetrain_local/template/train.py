"""Train a small net to tell points in a disc from those outside: put your own model and data here."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgetrain

session = edgetrain.join()

generator = torch.Generator().manual_seed(0)
points = torch.rand(4096, 2, generator=generator) * 2 - 1
labels = (points.norm(dim=1) < 0.7).long()
train_set, test_set = TensorDataset(points[512:], labels[512:]), (points[:512], labels[:512])

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
model, optimizer = session.prepare(model, optimizer)
# 64 is the batch over all workers: each gets a part by its speed.
loader = session.loader(DataLoader(train_set, batch_size=64, shuffle=True))

for epoch in session.epochs(30):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(test_set[0]).argmax(1) == test_set[1]).float().mean().item()
    session.log(accuracy=accuracy)
    if session.is_main and epoch % 10 == 9:
        print(f"epoch {epoch + 1}: accuracy {accuracy:.3f}", flush=True)

session.save(model)
