"""A training program whose gradients say which samples they are made of, with faults to order.

Each sample is a unit vector and the loss linear in a weight per sample, so the group's mean gradient
of that weight is the exact list of the samples in a step. They are tallied into state that travels
with snapshots, so that at the end every survivor shows for every epoch which sample was seen how often.
"""

import hashlib
import importlib
import json
import math
import os
import resource
import runpy
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.checkpoint import checkpoint
from torch.utils.data import TensorDataset

import edgetrain
from edgetrain.engine import attempts as _attempts
from edgetrain.engine.formation import step_job as _step_job
from edgetrain.engine.formation.gloo import GroupBroken
from tests.support.accounts import Accounts, keep_accounts
from tests.support.capabilities import NET_ADMIN, give_up

attempts: Any = _attempts
step_job: Any = _step_job
"""Their insides are replaced to strike at exact points."""


class Tally:
    """Counts the samples in committed steps, by epoch."""

    def __init__(self, samples: int, epochs: int) -> None:
        self.seen = torch.zeros(epochs, samples, dtype=torch.int64)

    def add(self, gradient: torch.Tensor, epoch: int, above: float = 0.0) -> None:
        """`above`: what is less is an error of rounding."""
        gradient = gradient * (gradient > above)
        present = gradient[gradient > 0]
        if len(present):
            self.seen[epoch] += (gradient / present.min()).round().long()

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen.copy_(state["seen"])


class Net(nn.Module):
    """The tallying weight beside an ordinary net with batch statistics."""

    def __init__(self, samples: int, width: int) -> None:
        super().__init__()
        self.mark = nn.Parameter(torch.zeros(samples))
        layers = [nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 1)]
        self.net = nn.Sequential(*layers)


def main(link: socket.socket, env: dict[str, str], options: dict[str, Any]) -> None:
    """Train as told, and leave a summary at options["out"]; or run the script at options["script"]."""
    os.environ.update(env, EDGETRAIN_LINK_FD=str(link.detach()))
    _as_ordered(options)
    torch.set_num_threads(1)
    if script := options.get("script"):
        register_optimizer_step_post_hook(lambda *_: _rest(options))
        runpy.run_path(script, run_name="__main__")
        return
    accounts = keep_accounts() if options.get("accounts") else Accounts()
    session = edgetrain.join()
    torch.manual_seed(options.get("model_seed", 0))
    samples, epochs = options["samples"], options["epochs"]
    x = torch.randn(samples, 8, generator=torch.Generator().manual_seed(1))
    model = Net(samples, options.get("width", 16))
    tally = Tally(samples, epochs)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.get("lr", 0.01))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.99**step)
    session.prepare(model, optimizer, scheduler, tally)
    loader = session.loader(TensorDataset(x, torch.arange(samples)), batch_size=options["batch"], seed=3)
    for epoch, (inputs, marks) in ((epoch, batch) for epoch in session.epochs(epochs) for batch in loader):
        time.sleep(options.get("pause", 0.0))
        if not Path(options["go"]).exists():
            time.sleep(options.get("leash", 0.0) * len(marks) / options["batch"])
        optimizer.zero_grad()
        loss = _outcome(model.net, inputs, twice=options.get("twice", False)).square().mean()
        loss = loss + options.get("loud", 1.0) * model.mark[marks].mean()
        step = session.committed.step + 1 if session.committed else 1
        if step in options.get("nan_steps", ()):
            loss = loss * math.nan
        loss.backward()
        if model.mark.grad is not None:
            # Where numbers are rounded, those of the mark are far above all others.
            tally.add(model.mark.grad, epoch, options["loud"] / samples if "loud" in options else 0.0)
        if not options.get("scaler") or all(
            p.grad is not None and p.grad.isfinite().all() for p in model.parameters()
        ):
            optimizer.step()
        scheduler.step()
        if session.committed and session.committed.step == options.get("spoil_at"):
            model.mark.data[0] = math.inf
        if session.committed and session.committed.step == options.get("drift_at"):
            next(model.net.parameters()).data[0, 0] *= 1 + 1e-6
    summary = {
        "seen": [sorted(set(row)) for row in tally.seen.tolist()],
        "lr": scheduler.get_last_lr()[0],
        "digest": _digest([*model.state_dict().values(), *_moments(optimizer)]),
        "accounts": accounts.to_json() if accounts.steps else None,
    }
    Path(options["out"]).write_text(json.dumps(summary))
    session.save(model)


def _rest(options: dict[str, Any]) -> None:
    """After each step of an optimiser, until all may go on as fast as they can."""
    time.sleep(0 if Path(options["go"]).exists() else options.get("pause", 0.0))


def _as_ordered(options: dict[str, Any]) -> None:
    for constant, value in options.get("constants", {}).items():
        module, _, name = constant.rpartition(".")
        setattr(importlib.import_module(f"edgetrain.{module}"), name, value)
    for when, step in options.get("die", {}).items():
        _fault(when, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    for when, step in options.get("break", {}).items():
        _fault(when, step, _break)
    if "file_bytes" in options:
        # As on a full disk: what is longer cannot be written.
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["file_bytes"], resource.RLIM_INFINITY))
    if not options.get("net_admin"):
        give_up(NET_ADMIN)


def _outcome(net: nn.Module, x: torch.Tensor, *, twice: bool) -> torch.Tensor:
    """`twice`: backward comes by the parameters two times, in a backward of its own for one of them."""
    outcome: torch.Tensor = net(x)
    if not twice:
        return outcome
    again: torch.Tensor = checkpoint(net, x.clone().requires_grad_(), use_reentrant=True)
    return (outcome + again) / 2


def _digest(tensors: list[torch.Tensor]) -> str:
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()


def _moments(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [moment for state in optimizer.state.values() for moment in state.values()]


def _fault(when: str, step: int, strike: Callable[[], None]) -> None:
    """Strike once in one step: before its reduction, or just before or after its vote."""
    real_vote, real_begin = step_job.vote, attempts.Attempts.begin

    def vote(votes: Any, ballot: Any) -> Any:
        if when == "before_vote" and ballot.step == step:
            step_job.vote = real_vote
            strike()
        outcome = real_vote(votes, ballot)
        if when == "after_vote" and ballot.step == step:
            step_job.vote = real_vote
            strike()
        return outcome

    def begin(self: Any, active: Any, turn: Any, loss: float) -> Any:
        if when == "before_reduce" and self._replica.position.committed + 1 == step:
            attempts.Attempts.begin = real_begin
            self._formations.run(active, lambda reduction: strike(), lambda nothing: None)
        return real_begin(self, active, turn, loss)

    step_job.vote = vote
    attempts.Attempts.begin = begin


def _break() -> None:
    raise GroupBroken("made to fail")
