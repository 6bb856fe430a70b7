"""The program that benchmarks train: a small model that writes down every committed step.

Each line on standard output that starts with `STEP ` is JSON: the step just committed, when, which
samples are in it, and a digest of the parameters afterwards. The first line, `BEGIN `, says when the
program began, torch imported. Pods and benchmark run on one machine, so the times compare.

Whoever writes a number of seconds into its hang file has it hang for so long, as an evaluation or a call
that does not come back does; with the word `held` behind it, it holds the interpreter meanwhile.
"""

import argparse
import ctypes
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

import edgetrain


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--width", type=int, default=128, help="hidden units: sets the bytes of a reduction")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument(
        "--work", type=int, default=0, help="extra forward passes for each step: sets its computing time"
    )
    parser.add_argument(
        "--sample-seconds",
        type=float,
        default=0.0,
        help="waited for each sample: as on a device of its own, whatever this machine's processors do",
    )
    parser.add_argument("--hang-file", type=Path, default=Path("/tmp/hang"), help="looked for at each step")
    parser.add_argument("--digest-every", type=int, default=1)
    parser.add_argument(
        "--no-indices",
        action="store_true",
        help="for large batches: a line of more than 16 KiB is cut in pieces by the container runtime",
    )
    return parser.parse_args()


def digest(model: nn.Module) -> str:
    """Sixteen hex digits over all parameters, bit by bit."""
    summed = hashlib.sha256()
    for parameter in model.parameters():
        summed.update(parameter.detach().numpy().tobytes())
    return summed.hexdigest()[:16]


def hang_if_asked(file: Path) -> None:
    if not file.exists():
        return
    seconds, _, held = file.read_text().partition(" ")
    file.unlink()
    if held:
        ctypes.PyDLL(None).sleep(int(seconds))
    else:
        time.sleep(int(seconds))


def main() -> None:
    print("BEGIN " + json.dumps({"at": time.time()}), flush=True)
    args = arguments()
    torch.manual_seed(0)
    x = torch.randn(args.samples, args.features)
    y = (x[:, :10] @ torch.randn(10, 10)).argmax(dim=1)
    session = edgetrain.join()
    model: nn.Module = nn.Sequential(
        nn.Linear(args.features, args.width),
        nn.ReLU(),
        nn.Linear(args.width, args.width),
        nn.ReLU(),
        nn.Linear(args.width, 10),
    )
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model, optimizer = session.prepare(model, optimizer)
    loader = session.loader(TensorDataset(x, y), batch_size=args.batch, seed=7)
    for inputs, targets in (batch for _ in session.epochs(args.epochs) for batch in loader):
        hang_if_asked(args.hang_file)
        optimizer.zero_grad()
        time.sleep(args.sample_seconds * len(inputs))
        for _ in range(args.work):
            with torch.no_grad():
                model(inputs)
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        session.log(loss=loss)
        committed = session.committed
        if committed is None:
            continue
        line: dict[str, Any] = {"step": committed.step, "at": time.time()}
        line |= {"loss": committed.loss, "epoch": committed.epoch}
        line |= {"history": committed.history, "members": committed.members}
        line |= {"samples": len(committed.indices), "indices": () if args.no_indices else committed.indices}
        if committed.step % args.digest_every == 0:
            line["digest"] = digest(model)
        print("STEP " + json.dumps(line), flush=True)
    session.save(model)


if __name__ == "__main__":
    main()
