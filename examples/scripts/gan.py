"""Two models with an optimiser each, three backward calls a batch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgetrain

session = edgetrain.join()
torch.manual_seed(0)
g = torch.Generator().manual_seed(1)
real_data = torch.randn(128, 2, generator=g) * 0.3 + 2
# As many inputs as samples, so that one process and three draw the same.
noise = torch.randn(128, 4, generator=g)
loader = DataLoader(TensorDataset(real_data, noise), batch_size=32, shuffle=True)
generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
criterion = nn.BCEWithLogitsLoss()
critic_steps = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.999))
generator_steps = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
*_, loader = session.prepare(generator, critic, critic_steps, generator_steps, loader)
for _ in session.epochs(3):
    for real, inputs in loader:
        critic.zero_grad()
        criterion(critic(real), torch.ones(len(real), 1)).backward()
        fake = generator(inputs)
        criterion(critic(fake.detach()), torch.zeros(len(real), 1)).backward()
        critic_steps.step()
        generator.zero_grad()
        criterion(critic(fake), torch.ones(len(real), 1)).backward()
        generator_steps.step()
session.save(nn.ModuleList([generator, critic]))
