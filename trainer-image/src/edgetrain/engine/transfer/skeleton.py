"""A snapshot apart from its tensors' bytes: those go and come by themselves, each to where it belongs.

In a skeleton a tensor is one on torch's device `meta`: its type, shape and strides, and no bytes.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from edgetrain.engine.errors import BadState
from edgetrain.engine.state.snapshot import Snapshot, decode, encode, with_tensors


def take_apart(snapshot: Snapshot) -> tuple[bytes, list[Tensor]]:
    """Its skeleton, encoded, and its own tensors, which are not copied."""
    tensors: list[Tensor] = []

    def without_bytes(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return torch.empty_like(tensor, device="meta")

    return encode(with_tensors(snapshot, without_bytes)), tensors


def read_skeleton(data: bytes) -> tuple[Snapshot, list[Tensor]]:
    """What `take_apart` has encoded, and its tensors without bytes.

    Raises:
        BadState: it is something else, or would take more memory than its length allows.
    """
    _check_archive(data)
    skeleton, tensors = decode(data), list[Tensor]()
    _check_parts((skeleton.objects, skeleton.random), len(data))

    def noted(tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            raise BadState("a skeleton that has tensors with bytes in it")
        tensors.append(tensor)
        return tensor

    try:
        with_tensors(skeleton, noted)
    except RecursionError as error:
        raise BadState("a skeleton that is nested without end") from error
    return skeleton, tensors


def put_together(skeleton: Snapshot, tensors: Sequence[Tensor]) -> Snapshot:
    """The snapshot: `tensors` in the order in which `take_apart` gave them."""
    left = iter(tensors)
    return with_tensors(skeleton, lambda _: next(left))


def _check_archive(data: bytes) -> None:
    """An archive can be packed, or name the same bytes many times; torch would read all that it announces."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            announced = sum(part.file_size for part in archive.infolist())
    except Exception as error:
        # Damaged archives make zipfile raise almost anything.
        raise BadState(f"no skeleton of a state: {error}") from error
    if announced > len(data):
        raise BadState(f"a skeleton of {len(data)} bytes that announces {announced}")


def _check_parts(whole: Any, most: int) -> None:
    """Each part takes a byte at least; one that is in many places would be walked through as often."""
    seen, left = 0, [whole]
    while left:
        part, seen = left.pop(), seen + 1
        if seen > most:
            raise BadState("a skeleton with more parts than bytes")
        if isinstance(part, Mapping):
            left.extend(part.values())
        elif isinstance(part, list | tuple):
            left.extend(part)
