"""The journal program as one writes it for torchrun: DistributedDataParallel, same model, same lines."""

import json
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.05, momentum=0.9)
    step = 0
    while True:
        x, y = torch.randn(32, 64), torch.randint(0, 10, (32,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(parallel(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        step += 1
        print("STEP " + json.dumps({"step": step, "at": time.time(), "rank": dist.get_rank()}), flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
