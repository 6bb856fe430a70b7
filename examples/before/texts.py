"""Texts of any length, padded by a collate function; a batch counts by its tokens."""

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader


def collate(items):
    ids = pad_sequence(items, batch_first=True)
    labels = ids.clone()
    labels[ids == 0] = -100
    return {"input_ids": ids, "labels": labels}


torch.manual_seed(0)
g = torch.Generator().manual_seed(1)
texts = [torch.randint(1, 50, (int(n),), generator=g) for n in torch.randint(2, 20, (96,), generator=g)]
loader = DataLoader(texts, batch_size=24, shuffle=True, collate_fn=collate)
emb, rnn, head = nn.Embedding(50, 16, padding_idx=0), nn.GRU(16, 32, batch_first=True), nn.Linear(32, 50)
model = nn.ModuleDict({"emb": emb, "rnn": rnn, "head": head})
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(2):
    for batch in loader:
        optimizer.zero_grad()
        out = head(rnn(emb(batch["input_ids"]))[0])
        labels = batch["labels"][:, 1:]
        loss = nn.functional.cross_entropy(out[:, :-1].reshape(-1, 50), labels.reshape(-1))
        loss.backward()
        optimizer.step()
torch.save(model.state_dict(), "model.pt")
