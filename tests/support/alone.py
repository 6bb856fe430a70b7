"""A program that runs alone, and what it trains."""

from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from edgetrain.credentials import Credentials
from edgetrain.engine.settings import Settings
from edgetrain.session import Session

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
DATA = TensorDataset(X, X.sum(1, keepdim=True))


def alone_in(directory: Path) -> Settings:
    """Of a program that runs without a job, and may use one core."""
    return Settings("", "", 0, directory / "checkpoint", directory / "model", 1, Credentials.from_env())


def alone(tmp_path: Path) -> Session:
    """The session of a program that runs without a job."""
    return Session(None, alone_in(tmp_path))


def prepared(session: Session) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    session.prepare(model, optimizer)
    return model, optimizer


def loss_of(model: nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
    outcome: torch.Tensor = (model(batch[0]) - batch[1]).square().mean()
    return outcome


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batch: list[torch.Tensor]) -> None:
    optimizer.zero_grad()
    loss_of(model, batch).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def trained_on(model: nn.Linear, batch: torch.Tensor) -> torch.Tensor:
    """The batch, of which some backward is called."""
    model.weight.mean().backward()  # type: ignore[no-untyped-call]
    return batch
