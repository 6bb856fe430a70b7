"""A group of one worker in rounds, from its arguments until all groups may begin: for programs of tests and
benchmarks, which say what a step is."""

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np

from edgetrain.aggregator.client import HolderClient
from edgetrain.aggregator.model import Founding, Layout
from edgetrain.aggregator.vectors import digest_of
from edgetrain.credentials import Credentials
from edgetrain.data import Block
from edgetrain.envoy.group_envoy import GroupEnvoy
from edgetrain.envoy.work_vectors import WorkVectors
from edgetrain.link import HolderAddress
from edgetrain.payload.codec import Floats
from edgetrain.rounds.blocks import count, first
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.leasing import Want
from edgetrain_protocol.history import History

BEGIN_SECONDS = 120.0


class Numbers:
    """Parameters that are an array."""

    def __init__(self, theta: Floats) -> None:
        self._theta = theta

    def take(self) -> Floats:
        return self._theta.copy()

    def put(self, vector: Floats) -> None:
        self._theta[...] = vector

    def move(self, by: Floats) -> None:
        self._theta += by


def arguments(*numbers: str) -> argparse.ArgumentParser:
    """For what all of these programs are told, and for these whole numbers."""
    parser = argparse.ArgumentParser()
    for name in numbers:
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--holders", required=True, help="h1:7075,h2:7076")
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--go", type=Path, required=True, help="it waits for this file before its first step")
    return parser


class LoneWorker:
    """A group of one, without an engine: whatever its envoy proposes it does."""

    def __init__(self, envoy: GroupEnvoy, theta: Floats, local_steps: int) -> None:
        self.envoy, self._local_steps = envoy, local_steps
        self._vectors = WorkVectors(Numbers(theta))
        self.work: GroupWork | None = None
        self._hand: tuple[Block, ...] = ()

    @property
    def over(self) -> bool:
        return self.work is not None and self.work.over

    def next_step(self, batch: int, seconds: float) -> tuple[Block, ...]:
        """Which `trained` is to follow; nothing where there is nothing to do for so many seconds."""
        ready = self.work is not None and bool(self.work.untrained)
        if self._do_what_is_proposed(0.0 if ready else seconds) or self.work is None:
            return ()
        self._hand = first(self.work.untrained, batch)
        return self._hand

    def trained(self) -> None:
        assert self.work is not None
        self.work = self.work.stepped(self._hand, count(self._hand))

    def _do_what_is_proposed(self, seconds: float) -> bool:
        proposal = self.envoy.proposal(self.work, self._local_steps, seconds=seconds)
        if proposal is None:
            return False
        self._vectors.follow(self.work, *proposal)
        self.work = proposal.work
        self.envoy.carry(self.work, self._vectors.update)
        return True


def begin(
    asked: argparse.Namespace,
    theta: Floats,
    samples: int,
    epochs: int,
    want: Want,
    local_steps: int,
    generation: int = 1,
) -> LoneWorker:
    """Once it is on the books, and all may begin. It ends the program where that takes too long.

    Args:
        theta: the parameters, all zero in version 0.
    """
    logging.basicConfig(format="%(asctime)s %(message)s")
    initial = np.zeros(len(theta), np.float32)
    founding = Founding(Layout(len(theta), "flat"), samples, epochs, digest_of(initial))
    named = (text.split(":") for text in asked.holders.split(","))
    holders = [HolderAddress(name, "127.0.0.1", int(port)) for name, port in named]
    credentials, history = Credentials.from_env(), History(1, asked.group, generation)
    envoy = GroupEnvoy(lambda: HolderClient(lambda: holders, credentials), history, founding, initial, want)
    worker, end = LoneWorker(envoy, theta, local_steps), time.monotonic() + BEGIN_SECONDS
    while worker.work is None:
        worker.next_step(0, 1.0)
        if time.monotonic() > end:
            sys.exit(envoy.trouble)
    print("begun", flush=True)
    while not asked.go.exists():
        time.sleep(0.05)
    return worker
