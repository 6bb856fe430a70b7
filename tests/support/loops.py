"""Scripts that differ in their loops, run by groups of real trainers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from edgetrain import link
from tests.support.trainers import Coordinator, coordinating, stop_all

HEAD = """
import os
from pathlib import Path
import torch
from torch.utils.data import DataLoader, TensorDataset
import edgetrain

session = edgetrain.join()
worker = os.environ["EDGETRAIN_WORKER"]
def mark(text):
    with Path(__file__).with_name(worker + ".marks").open("a") as file:
        file.write(text + "\\n")
x = torch.randn(96, 4, generator=torch.Generator().manual_seed(1))
y = x.sum(1, keepdim=True)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
"""


@contextmanager
def running(
    root: Path,
    text: str,
    pause: float = 0.0,
    *,
    workers: Sequence[str] = "abc",
    later: Sequence[str] = "",
    resume: link.Resume | None = None,
) -> Iterator[Coordinator]:
    """Workers run a script that begins with the head; those who come `later` are ready, in no group yet."""
    root.mkdir(exist_ok=True)
    script = root / "script.py"
    script.write_text(HEAD + text)
    with coordinating(root, script=str(script), pause=pause) as group:
        first = group.spawn_all(*workers)
        # Before the others begin: on a busy machine they could be through before it has started.
        for worker in later:
            group.spawn(worker, pause=0.0)
        group.start(first, resume)
        yield group


def marks(group: Coordinator, worker: str) -> list[str]:
    """What a worker's program has written down by `mark`."""
    file = group.root / f"{worker}.marks"
    return file.read_text().split() if file.exists() else []


def model_of(group: Coordinator, worker: str) -> dict[str, Tensor]:
    """What it has saved."""
    return load_file(group.root / f"model-{worker}" / "model.safetensors")


def end_alike(group: Coordinator) -> None:
    """Train to the end: all members have one model then."""
    group.run()
    assert len({member.last(link.Finished).digest for member in group.members}) == 1
    stop_all(group)


def one_is_told(group: Coordinator, words: str) -> None:
    """The second of three does otherwise than the others: it fails with these words, and they go on."""
    odd = group.members[1]
    group.until(lambda: not odd.alive)
    failed = odd.last(link.Failed)
    assert failed.reason == "BadProgram"
    assert words in failed.error
    end_alike(group)
    assert [member.worker for member in group.members] == ["a", "c"]
