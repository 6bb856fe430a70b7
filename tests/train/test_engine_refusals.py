"""What a program or its surroundings can get wrong: each says what, and how to mend it."""

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgetrain import link
from edgetrain.credentials import Credentials
from edgetrain.engine.errors import BadProgram, BadState, EmptyDataset, ModelNotSaved, VolumeNotWritable
from edgetrain.engine.settings import Settings
from edgetrain.session import Session
from tests.support.trainers import coordinating

DATA = (torch.randn(10, 4), torch.zeros(10))
pytestmark = pytest.mark.filterwarnings("ignore:session.* goes with the next version:DeprecationWarning")


@pytest.fixture
def alone(tmp_path: Path) -> Session:
    return Session(
        None, Settings("", "", 0, tmp_path / "checkpoint", tmp_path / "model", 1, Credentials.from_env())
    )


def wrapped(session: Session) -> nn.Module:
    model = nn.Linear(4, 1)
    session.wrap(model, torch.optim.SGD(model.parameters(), lr=0.1))
    return model


def test_alone_it_trains_on_everything_and_saves(alone: Session, tmp_path: Path) -> None:
    model, seen = wrapped(alone), []
    for batch in alone.batches(DATA, batch_size=4, epochs=2):
        alone.backward(model(batch.x).mean())
        seen += [(batch.epoch, index) for index in batch.indices]
    assert sorted(seen) == [(epoch, index) for epoch in range(2) for index in range(10)]
    assert alone.finish(model) == str(tmp_path / "model" / "model.safetensors")


def test_a_set_that_is_no_tuple_of_tensors(alone: Session) -> None:
    wrapped(alone)
    items = [(torch.full((4,), float(i)), i) for i in range(10)]
    batch = next(iter(alone.batches(items, batch_size=4)))
    assert batch.x[:, 0].tolist() == [float(i) for i in batch.indices] == batch.y.tolist()


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ((torch.zeros(0, 4), torch.zeros(0)), EmptyDataset, "no samples: check the path"),
        ([], EmptyDataset, "no samples"),
        ((torch.zeros(3), torch.zeros(4)), BadProgram, r"different lengths: \[3, 4\]"),
        (7, BadProgram, "int, which has no length"),
    ],
)
def test_data_that_cannot_be(alone: Session, data: Any, error: type[Exception], words: str) -> None:
    wrapped(alone)
    with pytest.raises(error, match=words):
        alone.batches(data)


def test_calls_out_of_order(alone: Session) -> None:
    with pytest.raises(BadProgram, match="needs the model"):
        alone.batches(DATA)
    model = wrapped(alone)
    with pytest.raises(BadProgram, match="wrap was called twice"):
        alone.wrap(model)
    with pytest.raises(BadProgram, match="belongs to a batch"):
        alone.backward(torch.zeros(1))
    loop = alone.batches(DATA, batch_size=4)
    batch = next(loop)
    with pytest.raises(BadProgram, match="its mean"):
        alone.backward(model(batch.x))
    with pytest.raises(BadProgram, match="before the loop"):
        alone.finish(model)
    with pytest.raises(BadProgram, match="called twice"):
        alone.batches(DATA)


def test_a_batch_without_backward(alone: Session) -> None:
    wrapped(alone)
    loop = alone.batches(DATA, batch_size=4)
    next(loop)
    with pytest.raises(BadProgram, match="backward was not called"):
        next(loop)


class Odd:
    def state_dict(self) -> dict[str, Any]:
        return {"inner": [1, object()]}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@pytest.mark.parametrize(
    ("thing", "words"), [(3, "no state_dict"), (Odd(), r"Odd\['inner'\]\[1\] is a object")]
)
def test_state_that_cannot_be_saved(alone: Session, thing: object, words: str) -> None:
    with pytest.raises(BadState, match=words):
        alone.wrap(nn.Linear(1, 1), thing)


def test_a_volume_that_cannot_be_written_is_found_before_the_first_batch(
    alone: Session, tmp_path: Path
) -> None:
    (tmp_path / "model").write_text("a file")
    wrapped(alone)
    with pytest.raises(
        VolumeNotWritable, match=r"spec\.storage\.model: .*/model cannot be written \(ENOTDIR"
    ):
        alone.batches(DATA)


def test_a_model_that_cannot_be_written(alone: Session, tmp_path: Path) -> None:
    model = wrapped(alone)
    for batch in alone.batches(DATA):
        (tmp_path / "model").write_text("a file")
        alone.backward(model(batch.x).mean())
    with pytest.raises(ModelNotSaved, match=r"spec\.storage\.model"):
        alone.finish(model)


def test_members_that_disagree_on_the_model(tmp_path: Path) -> None:
    """Only the odd one out fails, naming the first parameter and both shapes; the others can go on."""
    with coordinating(tmp_path) as group:
        group.start(group.spawn_all("a", "b", "c", options={"c": {"width": 17}}))
        odd = group.members[2]
        group.until(lambda: odd.last(link.Failed) and not odd.alive)
        failed = odd.last(link.Failed)
        assert failed.reason == "ModelMismatch"
        assert "net.0.weight [17, 8]" in failed.error
        assert "net.0.weight [16, 8]" in failed.error
        group.run()
        assert [t.worker for t in group.members] == ["a", "b"]


def test_a_newcomer_with_another_model(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=100, pause=0.01) as group:
        group.start(group.spawn_all("a"))
        odd = group.spawn("b", batch=25)
        odd.send(link.Fetch(group.members[0].peer))
        group.until(lambda: odd.last(link.Failed))
        assert odd.last(link.Failed).reason == "ModelMismatch"
        assert "batch_size 25" in odd.last(link.Failed).error


def test_state_is_given_to_nobody_without_a_certificate(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=100, pause=0.01) as group:
        group.start(group.spawn_all("a"))
        donor = group.members[0]
        with socket.create_connection(("127.0.0.1", donor.state_port), 5) as stranger:
            stranger.settimeout(5)
            stranger.sendall(b"x" * 64)
            received = b""
            # What it did not read of ours resets the connection.
            with contextlib.suppress(ConnectionResetError):
                while piece := stranger.recv(1000):
                    received += piece
        assert len(received) < 32, "an alert of TLS, and nothing of the state"
        step = group.committed()
        group.until(lambda: group.committed() > step)


def test_a_supervisor_that_is_gone_ends_the_program(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=100, pause=0.01) as group:
        group.start(group.spawn_all("a"))
        group.until(lambda: group.committed() > 2)
        group.members[0].link.close()
        group.members[0].process.join(10)
        assert group.members[0].process.exitcode == 1
