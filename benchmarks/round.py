"""One round of four workers who have nothing to compute: from a version to the next, over TLS on loopback.

A million parameters, as they are and packed, with one holder and with three, which have it on their disks.
Beside it what gloo takes to sum as much, without TLS, disk or a log.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import distributed as dist
from torch.multiprocessing.spawn import spawn

from benchmarks.harness import Goal, Row, end_when_told, median_row, publish
from edgetrain.rounds.agreed import Agreed
from edgetrain_protocol.strategy import RoundPayload
from tests.support.rounds_bed import GROUPS, RoundsBed, Running

NUMBERS = 1_000_000
WORKERS = 4
ROUNDS = int(os.environ.get("ROUNDS", "40"))
WARM = 5
PROGRAM = Path(__file__).parent / "programs" / "rounds_worker.py"
GOALS = {RoundPayload.FP32: Goal("<=", 50.0), RoundPayload.INT8: Goal("<=", 30.0)}
"""With three holders."""


def main() -> int:
    end_when_told()
    rows = [
        median_row(f"{payload}, {holders} holder{'s' * (holders > 1)}", rounds(holders, payload), "ms", goal)
        for payload in (RoundPayload.FP32, RoundPayload.INT8)
        for holders, goal in ((1, None), (3, GOALS[payload]))
    ]
    rows.append(Row("gloo all_reduce, fp32, plain TCP", gloo(), "ms"))
    return 0 if publish("round", rows) else 1


def rounds(holders: int, payload: RoundPayload) -> list[float]:
    """Milliseconds of each round: the median over the workers."""
    with tempfile.TemporaryDirectory() as folder:
        bed = RoundsBed(Path(folder), holders=holders, agreed=Agreed(payload=payload))
        try:
            bed.start()
            workers = [start(bed, name) for name in GROUPS[:WORKERS]]
            bed.go(*workers)
            if holders > 1:
                bed.hold_together()
            took = [times(worker) for worker in workers]
        finally:
            bed.close()
    return [1000 * statistics.median(each) for each in zip(*took, strict=True)][WARM:]


def start(bed: RoundsBed, name: str) -> Running:
    sizes = {"numbers": NUMBERS, "rounds": ROUNDS, "groups": WORKERS}
    return bed.start_program(PROGRAM, name, {"group": name, **sizes}, ".json")


def times(worker: Running) -> list[float]:
    worker.ended()
    applied = json.loads(worker.result.read_text())
    return [after - before for before, after in pairwise(applied)]


def gloo() -> float:
    with tempfile.TemporaryDirectory() as folder:
        spawn(summing, (folder,), WORKERS)  # type: ignore[no-untyped-call]
        return float((Path(folder) / "took").read_text())


def summing(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORKERS)
    vector, took = torch.ones(NUMBERS), []
    for _ in range(ROUNDS):
        began = time.monotonic()
        dist.all_reduce(vector)
        took.append(time.monotonic() - began)
    if rank == 0:
        (Path(folder) / "took").write_text(str(1000 * statistics.median(took[WARM:])))
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
