"""A model seen as flat vectors: what is reduced at each step, what is compared, what is broadcast.

The reduced vector is [n * gradients, n * float buffers, n * loss, n] in fp32, n being the member's
samples. Divided by its last element after the sum it holds means that are exact for unequal and
empty shares. Float buffers (batch norm's statistics) ride along, so that they are the same on all
members too; integer ones (counters) move alike everywhere.
"""

import hashlib
import zlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Flat:
    """The flat views of one model, whose parameters and buffers stay the same objects while it trains."""

    def __init__(self, model: nn.Module) -> None:
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._weights: list[Tensor] = [p.detach() for p in model.parameters()]
        buffers = list(model.buffers())
        self._float_buffers = [b for b in buffers if b.is_floating_point()]
        self._whole: list[Tensor] = self._weights + buffers
        self._parts = [t.numel() for t in (*self._trained, *self._float_buffers)]
        self.size = sum(self._parts) + 2

    @property
    def bytes(self) -> int:
        """Of one reduction."""
        return 4 * self.size

    def pack(self, into: Tensor, samples: int, loss: float) -> None:
        """Weigh this member's gradients and buffers by its samples; zeros where it has none."""
        into.zero_()
        # Not n * g with n = 0: what came of a batch that does not count may be nan.
        if samples:
            gradients = [p.grad for p in self._trained]
            for room, value in zip(self._rooms(into), [*gradients, *self._float_buffers], strict=True):
                if value is not None:
                    room.copy_(_dense(value).detach().reshape(-1)).mul_(samples)
            into[-2], into[-1] = loss * samples, samples

    @staticmethod
    def loss(total: Tensor) -> float:
        """The mean loss in a reduced vector."""
        return float(total[-2] / total[-1].clamp(min=1.0))

    def finite(self) -> bool:
        """Whether all parameters are finite. Buffers may hold infinities on purpose, as masks do."""
        return all(bool(weight.isfinite().all()) for weight in self._weights)

    def unpack(self, total: Tensor) -> None:
        """Set every gradient and float buffer to the group's mean."""
        means = total[:-1] / total[-1].clamp(min=1.0)
        rooms = self._rooms(means)
        for parameter, room in zip(self._trained, rooms, strict=False):
            self._set_gradient(parameter, room)
        for buffer, room in zip(self._float_buffers, rooms[len(self._trained) :], strict=True):
            buffer.copy_(room.view_as(buffer))

    def clear_gradients(self) -> None:
        """Empty gradients, for a step that is to change nothing."""
        for parameter in self._trained:
            parameter.grad = torch.zeros_like(parameter)

    def digest(self) -> int:
        """31 bits that differ where any parameter differs in any bit."""
        value = 0
        for weight in self._weights:
            value = zlib.crc32(_bytes_of(weight), value)
        return value & 0x7FFFFFFF

    def whole(self) -> Tensor:
        """All parameters and buffers as one vector of bytes."""
        return torch.cat([torch.frombuffer(bytearray(_bytes_of(t)), dtype=torch.uint8) for t in self._whole])

    def set_whole(self, data: Tensor) -> None:
        """Take the parameters and buffers that another member's `whole` gave."""
        sizes = [t.numel() * t.element_size() for t in self._whole]
        with torch.no_grad():
            for target, piece in zip(self._whole, data.split_with_sizes(sizes), strict=True):
                target.copy_(piece.clone().view(target.dtype).view(target.shape))

    def _rooms(self, vector: Tensor) -> Sequence[Tensor]:
        return vector[: self.size - 2].split_with_sizes(self._parts)

    @staticmethod
    def _set_gradient(parameter: nn.Parameter, room: Tensor) -> None:
        if parameter.grad is None or parameter.grad.is_sparse:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(room.view_as(parameter))


def layout_of(
    model: nn.Module, optimizers: Iterable[torch.optim.Optimizer], extra: Iterable[str]
) -> list[str]:
    """What all members must have alike, a line each: parameters, buffers, optimisers' settings, `extra`."""
    kinds = (("parameter", model.named_parameters()), ("buffer", model.named_buffers()))
    lines = [f"{kind} {name} {list(t.shape)} {_type(t)}" for kind, named in kinds for name, t in named]
    for optimizer in optimizers:
        lines += [
            f"optimiser {type(optimizer).__name__} {_settings(group)}" for group in optimizer.param_groups
        ]
    return [*lines, *extra]


def hash_of(layout: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(layout).encode()).hexdigest()[:16]


def first_difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """The first line in which two layouts differ, in words."""
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            return f"here {mine!r}, at the others {other!r}"
    longer, where = (ours, "here") if len(ours) > len(theirs) else (theirs, "at the others")
    return f"{longer[min(len(ours), len(theirs))]!r} only {where}"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _settings(group: dict[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in sorted(group.items()) if key != "params")


def _dense(tensor: Tensor) -> Tensor:
    return tensor.to_dense() if tensor.is_sparse else tensor


def _bytes_of(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
