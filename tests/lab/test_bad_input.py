"""What a person gets wrong: the job's status names the thing and the mend, and the job beside it goes on."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain_protocol.names import GROUP, KIND, VERSION
from tests.support.pods import Json, apply, get

pytestmark = pytest.mark.lab

SECONDS = 90.0
MODEL = """
import os, torch, edgetrain
{before}
session = edgetrain.join()
width = {width}
model = torch.nn.Linear(8, width)
model, optimizer = session.wrap(model, torch.optim.SGD(model.parameters(), lr=0.1))
x, y = torch.randn({samples}, 8), torch.randn({samples}, width)
for batch in session.batches((x, y), batch_size=16, epochs=100000, seed=1):
    optimizer.zero_grad()
    session.backward(((model(batch.x) - batch.y) ** 2).mean())
    optimizer.step()
session.finish(model)
"""


def program(*, before: str = "", width: str = "4", samples: int = 256) -> Json:
    text = MODEL.format(before=before, width=width, samples=samples)
    return {"command": ["python", "-c", text]}


def job(name: str, program_: Json, **spec: Any) -> Json:
    hosts = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["edge-1", "edge-2"]}
    chosen = {"selector": {"matchExpressions": [hosts]}}
    body = {"program": program_, "nodes": chosen, "runPolicy": {"backoffLimit": 0}, **spec}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": name},
        "spec": body,
    }


def says(lab: Lab, namespace: str, name: str, reason: str, *words: str) -> None:
    """A condition of the job comes to have this reason, and all these words in its message."""

    def look() -> bool:
        conditions = get(lab, namespace, "etj", name).get("status", {}).get("conditions", [])
        messages = [c["message"] for c in conditions if c["reason"] == reason]
        if not any(all(word in message for word in words) for message in messages):
            raise LabError(
                f"{name}: {[(c['type'], c['status'], c['reason'], c['message']) for c in conditions]}"
            )
        return True

    wait_for(look, SECONDS)


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
