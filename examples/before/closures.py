"""An optimiser that calls the loss as often as it likes."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(96, 6, generator=torch.Generator().manual_seed(1))
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=48, shuffle=True)
model = nn.Linear(6, 1)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.3, max_iter=3)
for _ in range(6):
    for bx, by in loader:

        def closure(bx=bx, by=by):
            optimizer.zero_grad()
            loss = (model(bx) - by).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
torch.save(model.state_dict(), "model.pt")
