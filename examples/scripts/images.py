"""A data set of dicts with a collate function and processes of its own, batch statistics, drop_last,
evaluation after each epoch, the best model kept."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import edgetrain


class Images(Dataset):
    def __init__(self, count, seed):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 4, (count,), generator=g)
        self.images = torch.rand(count, 3, 16, 16, generator=g) * 0.5
        for i, label in enumerate(self.labels):
            self.images[i, :, int(label) * 4 : int(label) * 4 + 4] += 0.4

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"image": self.images[i], "label": int(self.labels[i]), "id": f"img{i}"}


def collate(items):
    return {
        "image": torch.stack([i["image"] for i in items]),
        "label": torch.tensor([i["label"] for i in items]),
        "id": [i["id"] for i in items],
    }


session = edgetrain.join()
torch.manual_seed(0)
train_loader = DataLoader(
    Images(70, 1),
    batch_size=32,
    shuffle=True,
    num_workers=2,
    collate_fn=collate,
    drop_last=True,
    multiprocessing_context="fork",
)
val_loader = DataLoader(Images(16, 2), batch_size=8, collate_fn=collate)
body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
model = nn.Sequential(body, nn.Linear(128, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
model, optimizer, scheduler, train_loader = session.prepare(model, optimizer, scheduler, train_loader)
for _ in session.epochs(3):
    model.train()
    for batch in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["image"]), batch["label"])
        loss.backward()
        optimizer.step()
    model.eval()
    right = 0
    with torch.no_grad():
        for batch in val_loader:
            right += (model(batch["image"]).argmax(1) == batch["label"]).sum().item()
    scheduler.step()
    session.log(accuracy=right / 16)
session.save(model)
