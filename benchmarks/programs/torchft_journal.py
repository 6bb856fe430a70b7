"""The journal program as one writes it for torchft: one replica, its own part of each batch, same lines.

    python torchft_journal.py REPLICA BATCH SAMPLE_SECONDS

The lighthouse's address is in TORCHFT_LIGHTHOUSE. Gradients are reduced by the manager itself, in one piece:
torchft 0.2.0's DistributedDataParallel ends the program with an AssertionError (ddp.py, `assert fut._fut`)
when a peer is lost, so that one kill would be the end of all replicas.
"""

import json
import sys
import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torchft import Manager, Optimizer, ProcessGroupGloo

TIMEOUT = timedelta(seconds=3)
"""For a reduction. A peer that is stopped is found by it, so it is short; a step takes some 0.2 s."""
QUORUM_TIMEOUT = timedelta(seconds=60)


def reduce_gradients(manager: Manager, model: nn.Module) -> None:
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    manager.allreduce(flat).wait()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def main(replica: str, batch: int, sample_seconds: float) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    # Not before: the first optimiser imports torch's compiler, which is a start's share like torch itself.
    print("BEGIN " + json.dumps({"at": time.time()}), flush=True)

    def load(state: Any) -> None:
        model.load_state_dict(state["model"])
        sgd.load_state_dict(state["optimizer"])

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    manager = Manager(
        pg=ProcessGroupGloo(timeout=TIMEOUT),
        load_state_dict=load,
        state_dict=lambda: {"model": model.state_dict(), "optimizer": sgd.state_dict()},
        min_replica_size=1,
        timeout=TIMEOUT,
        quorum_timeout=QUORUM_TIMEOUT,
        rank=0,
        world_size=1,
        store_addr="127.0.0.1",
        store_port=store.port,
        replica_id=replica,
        hostname="127.0.0.1",
    )
    optimizer = Optimizer(manager, sgd)
    while True:
        x, y = torch.randn(batch, 64), torch.randint(0, 10, (batch,))
        optimizer.zero_grad()
        time.sleep(sample_seconds * batch)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        reduce_gradients(manager, model)
        before = manager.current_step()
        optimizer.step()
        if manager.current_step() == before:
            continue
        samples = batch * manager.num_participants()
        line = {"step": manager.current_step(), "at": time.time(), "samples": samples}
        print("STEP " + json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
