"""Jobs of a model of one layer on `edge-1` and `edge-2`, and what their status comes to say."""

from typing import Any

from benchmarks.waiting import wait_for
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain_protocol.names import GROUP, KIND, VERSION
from tests.support.pods import Json, get

SECONDS = 90.0
MODEL = """
import os, torch, edgetrain
{before}
session = edgetrain.join()
width = {width}
model = torch.nn.Linear(8, width)
model, optimizer = session.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
x, y = torch.randn({samples}, 8), torch.randn({samples}, width)
loader = session.loader(torch.utils.data.TensorDataset(x, y), batch_size=16, seed=1)
for inputs, targets in (batch for _ in session.epochs({epochs}) for batch in loader):
    optimizer.zero_grad()
    ((model(inputs) - targets) ** 2).mean().backward()
    optimizer.step()
session.save(model)
"""


def program(*, before: str = "", width: str = "4", samples: int = 256, epochs: int = 100_000) -> Json:
    text = MODEL.format(before=before, width=width, samples=samples, epochs=epochs)
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
