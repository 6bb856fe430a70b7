"""What a person gets wrong: the job's status names the thing and the mend, and the job beside it goes on."""

from collections.abc import Iterator

import pytest

from benchmarks.waiting import wait_for
from edgelab.lab import Lab
from tests.support.pods import Json, apply, get
from tests.support.small_jobs import SECONDS, job, program, says

pytestmark = pytest.mark.lab


@pytest.fixture
def neighbour(lab: Lab, operator: str, namespace: str) -> Iterator[None]:
    """A sound job on the same nodes: it trains on whatever is wrong with the other."""
    apply(lab, namespace, job("sound", program()))
    yield
    seen = step(lab, namespace)
    wait_for(lambda: step(lab, namespace) > seen, SECONDS)


def step(lab: Lab, namespace: str) -> int:
    return int(get(lab, namespace, "etj", "sound").get("status", {}).get("progress", {}).get("step", 0))


def test_each_mistake_is_named_with_its_mend(lab: Lab, namespace: str, neighbour: None) -> None:
    mistakes: dict[str, tuple[Json, tuple[str, ...]]] = {
        "image": (
            {"image": "registry.invalid/nobody/nothing:1"},
            ("ImagePullFailed", "registry.invalid/nobody/nothing:1", "program.image"),
        ),
        "command": ({"command": ["no-such-program"]}, ("CommandNotFound", "no-such-program")),
        "raises": (program(before="raise ValueError('my own mistake')"), ("ProgramFailed", "my own mistake")),
        "empty": (program(samples=0), ("EmptyDataset", "storage.data")),
        "mismatch": (
            program(width="4 if os.environ['EDGETRAIN_NODE'] == 'edge-1' else 5"),
            ("ModelMismatch", "same program"),
        ),
    }
    for name, (wrong, _) in mistakes.items():
        apply(lab, namespace, job(name, wrong))
    nowhere = {"selector": {"matchLabels": {"nowhere": "true"}}}
    apply(lab, namespace, job("nowhere", program(), nodes=nowhere))
    says(lab, namespace, "nowhere", "NoMatchingNodes", "nowhere", "label")
    for name, (_, words) in mistakes.items():
        says(lab, namespace, name, *words)
