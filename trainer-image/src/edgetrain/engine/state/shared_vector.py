"""What groups share of a model, as one vector of fp32: what optimisers move, and float buffers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.envoy.work_vectors import WorkVectors
from edgetrain.payload.codec import Bytes, Floats
from edgetrain_protocol.strategy import RoundPayload


class SharedVector:
    """The program's own tensors, for its thread."""

    def __init__(self, flat: FlatModel) -> None:
        self._flat = flat
        self.numbers = sum(tensor.numel() for tensor in self._tensors)

    def take(self) -> Floats:
        """A copy."""
        vector: Floats = np.empty(self.numbers, np.float32)
        for tensor, room in self._rooms(vector):
            room.copy_(tensor)
        return vector

    def put(self, vector: Floats) -> None:
        """In the place of what is there."""
        for tensor, room in self._rooms(vector):
            tensor.copy_(room)

    def move(self, by: Floats) -> None:
        """From where it is."""
        for tensor, room in self._rooms(by):
            tensor.add_(room)

    def views(self, vector: Floats) -> dict[int, Tensor]:
        """Of its parts for trained parameters, by their `id`."""
        sizes = [parameter.numel() for parameter in self._flat.trained]
        parts = tensor_of(vector[: sum(sizes)]).split_with_sizes(sizes)
        return {id(p): part.view(p.shape) for p, part in zip(self._flat.trained, parts, strict=True)}

    @property
    def _tensors(self) -> list[Tensor]:
        # Buffers as they are now: a program's forward may put others in their place.
        return [parameter.detach() for parameter in self._flat.trained] + self._flat.float_buffers

    def _rooms(self, vector: Floats) -> Iterator[tuple[Tensor, Tensor]]:
        tensors = self._tensors
        rooms = tensor_of(vector).split_with_sizes([tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, room in zip(tensors, rooms, strict=True):
                yield tensor, room.view(tensor.shape)


class SharedVectors(WorkVectors):
    """A part of the session's state: a newcomer goes on from a snapshot of them."""

    def __init__(self, flat: FlatModel) -> None:
        self._shared = SharedVector(flat)
        super().__init__(self._shared, sum(buffer.numel() for buffer in flat.float_buffers))

    def bases(self) -> dict[int, Tensor]:
        """Trained parameters as they are in the version that the group's work is measured from, by `id`."""
        return {} if self.base is None else self._shared.views(self.base)

    def state_dict(self) -> dict[str, Any]:
        kept = {"base": self.base, "pushed": self.pushed}
        vectors = {name: tensor_of(vector) for name, vector in kept.items() if vector is not None}
        return {"payload": str(self.payload), "proximal": self.proximal, **vectors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.payload, self.proximal = RoundPayload(state["payload"]), state["proximal"]
        self.base, self.pushed = (
            state[name].numpy() if name in state else None for name in ("base", "pushed")
        )


def tensor_of(vector: Floats | Bytes) -> Tensor:
    """Over the same bytes, to be read."""
    # Torch warns of an array that may not be written.
    return torch.from_numpy(vector if vector.flags.writeable else vector.copy())
