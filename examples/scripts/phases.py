"""One phase after another: an encoder learns to compress signals, then a head learns to tell them apart."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgetrain

session = edgetrain.join()

signals = torch.randn(192, 8, generator=torch.Generator().manual_seed(1))
kinds = (signals[:, 0] > 0).long()

torch.manual_seed(0)
encoder, decoder, head = nn.Linear(8, 4), nn.Linear(4, 8), nn.Linear(4, 2)
compress = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
classify = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
unlabelled = DataLoader(TensorDataset(signals), batch_size=32, shuffle=True)
labelled = DataLoader(TensorDataset(signals, kinds), batch_size=24, shuffle=True)
# Of all phases, before the first.
*_, unlabelled, labelled = session.prepare(encoder, decoder, head, compress, classify, unlabelled, labelled)

for _ in session.epochs(3):
    for (x,) in unlabelled:
        compress.zero_grad()
        (decoder(encoder(x)) - x).square().mean().backward()
        compress.step()

for _ in session.epochs(3):
    for x, y in labelled:
        classify.zero_grad()
        nn.functional.cross_entropy(head(encoder(x)), y).backward()
        classify.step()

session.save(head)
