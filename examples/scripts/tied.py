"""A language model whose embedding and head are one weight, compiled by torch.compile."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgetrain


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.mix = nn.Embedding(40, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 40, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.mix(self.embedding(tokens)).tanh())


session = edgetrain.join()
torch.manual_seed(0)
tokens = torch.randint(0, 40, (128, 12), generator=torch.Generator().manual_seed(1))
loader = DataLoader(TensorDataset(tokens), batch_size=32, shuffle=True)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
model, optimizer, loader = session.prepare(model, optimizer, loader)
compiled = torch.compile(model, backend="eager")  # the default backend needs a C++ compiler
for _ in session.epochs(3):
    for (batch,) in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(compiled(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        optimizer.step()
session.save(model)
