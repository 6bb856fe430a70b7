"""A state that a newcomer is sent, apart from its tensors: what is none is refused, in little memory."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from edgetrain.data import SamplerState
from edgetrain.engine.errors import BadState
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot, check, encode
from edgetrain.engine.transfer.pieces import Arriving
from edgetrain.engine.transfer.skeleton import read_skeleton, take_apart
from edgetrain.engine.transfer.wire import WireError
from edgetrain.link import Position

BARE = Snapshot(Position(committed=7), Ledger(SamplerState.fresh(9, 7), batch=8, epochs=1), [], [], {})
MIB = 1 << 20


def with_state(*objects: Any) -> bytes:
    return encode(replace(BARE, objects=list(objects)))


def packed(data: bytes) -> bytes:
    """The same archive, compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    return out.getvalue()


def shared(depth: int) -> list[Any]:
    """Some hundred bytes that are 2 ** depth parts to who walks through them."""
    part: list[Any] = [1]
    for _ in range(depth):
        part = [part, part]
    return part


def nested(depth: int) -> list[Any]:
    part: list[Any] = []
    for _ in range(depth):
        part = [part]
    return part


def test_tensors_are_apart_from_the_rest() -> None:
    tensors = [torch.zeros(MIB), torch.ones(2, 3)]
    data, apart = take_apart(replace(BARE, objects=[{"a": tensors[0]}, (tensors[1], 5)]))
    assert len(data) < 10_000
    assert all(one is other for one, other in zip(apart, tensors, strict=True)), "they are not copied"
    skeleton, announced = read_skeleton(data)
    assert skeleton.ledger == BARE.ledger
    assert [tensor.shape for tensor in announced] == [(MIB,), (2, 3)]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: b"", "no skeleton"),
        (lambda: b"no archive", "no skeleton"),
        (lambda: with_state(torch.zeros(3)), "tensors with bytes"),
        (lambda: packed(with_state(bytes(64 * MIB))), "announces"),
        (lambda: with_state(shared(60)), "more parts than bytes"),
        (lambda: with_state({"x": {1, 2}}), "is a set"),
    ],
)
def test_what_is_none_is_refused_in_little_memory(made: Callable[[], bytes], why: str) -> None:
    data = made()
    tracemalloc.start()
    try:
        with pytest.raises(BadState, match=why):
            read_skeleton(data)
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()


def test_what_is_nested_deeply_is_read() -> None:
    assert read_skeleton(with_state(nested(100)))[0].objects == [nested(100)]


def test_a_tensor_that_is_only_announced_has_no_room() -> None:
    """Until its first byte has come; then the system gives it as it is written to, or refuses it."""
    arriving = Arriving([torch.empty(1 << 50, device="meta")])
    assert arriving.missing == 1 << 32
    with pytest.raises(WireError, match="no room"):
        arriving.whole()


def test_a_tensor_that_is_not_dense_is_refused() -> None:
    """Its bytes would be written to where it has none."""
    arriving = Arriving([torch.empty_strided((3, 4), (0, 1), device="meta")])
    with pytest.raises(WireError, match="not dense"):
        arriving.whole()


def test_a_state_with_a_sparse_tensor_is_refused_when_it_is_captured() -> None:
    class Sparse:
        def state_dict(self) -> Any:
            return {"w": torch.eye(3).to_sparse()}

        def load_state_dict(self, state: Any) -> None: ...

    with pytest.raises(BadState, match=r"Sparse\['w'\] is a Tensor: only dense tensors"):
        check([Sparse()])
