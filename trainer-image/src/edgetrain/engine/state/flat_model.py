"""A model seen as flat vectors: what is reduced at each step, what is compared, what is broadcast.

The reduced vector is [w * gradients, w * float buffers, w * presence, finish, w * loss, w] in fp32, w being
the member's part of the step's samples. The sum over the members, by the last number, is the mean over all
samples whose gradients came, exact for unequal and empty shares. Float buffers (batch norm's statistics)
ride along, so that they are the same on all members too; integer ones (counters) move alike everywhere.
Presence has a number for each parameter, 1 where backward has made its gradient: what nobody has a gradient
of has none afterwards, and optimisers leave it alone, as they do in one process. `finish` is 1 where the
member was told to end its loops.
"""

import hashlib
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from edgetrain.engine.buckets import Buckets, cut
from edgetrain.engine.errors import BadProgram

SPEECH = "speech 9"
"""Of members in a formation: vectors, votes and their order on the wire. Who speaks another one is told apart
before a byte is exchanged, since Gloo ends a process that gets more than it expects."""
ROUNDING = 1e-5
"""By which a sum of all parts, in fp32, may miss 1."""


class FlatModel:
    """The flat views of one model, whose parameters and buffers stay the same objects while it trains."""

    def __init__(self, model: nn.Module, trained: Sequence[nn.Parameter]) -> None:
        """`trained`: those of the model's parameters that may be moved, in the model's order."""
        self.trained = [*trained][::-1]
        """In the order in which backward usually makes their gradients: the last first."""
        self.trained_ids = frozenset(map(id, self.trained))
        self._parameters = list(model.parameters())
        self._buffers = _places_of_buffers(model)
        self._floats = [
            place for place, b in zip(self._buffers, self.buffers, strict=True) if b.is_floating_point()
        ]
        self._parts = [t.numel() for t in (*self.trained, *self.float_buffers)]
        self._tail = len(self.trained) + 3
        """Numbers: presence, finish, loss and weight."""
        self.size = sum(self._parts) + self._tail
        self.gradients = sum(p.numel() for p in self.trained)
        """So many of the reduced vector's numbers, from its start, are gradients."""
        sparse = {id(weight) for weight in _sparse_weights(model)}
        self._sparse = [parameter for parameter in self.trained if id(parameter) in sparse]
        self._cuts: dict[int, Buckets] = {}
        self.scaled = False
        """The program has a scaler, which passes over what is not finite, and lowers its scale by it."""

    @property
    def buffers(self) -> list[Tensor]:
        """As they are now: a program's forward may put others in their place."""
        return [_buffer(module, name) for module, name in self._buffers]

    @property
    def float_buffers(self) -> list[Tensor]:
        return [_buffer(module, name) for module, name in self._floats]

    @property
    def bytes(self) -> int:
        """Of one reduction."""
        return 4 * self.size

    def buckets(self, largest: int) -> Buckets:
        """Of a reduced vector; see `buckets.cut`."""
        if largest not in self._cuts:
            self._cuts[largest] = cut([p.numel() for p in self.trained], self.size, largest)
        return self._cuts[largest]

    def on_gradient(self, arrived: Callable[[int], None]) -> None:
        """From now on call this with the place of each trained parameter whose gradient backward has made."""

        def hook(place: int, _: Tensor) -> None:
            arrived(place)

        # Who is thawed later is packed once backward is over.
        for place, parameter in enumerate(self.trained):
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(
                    partial(hook, place)  # type: ignore[no-untyped-call]
                )

    def rooms(self, vector: Tensor) -> Sequence[Tensor]:
        """Where in a reduced vector each gradient, then each float buffer is."""
        return vector[: -self._tail].split_with_sizes(self._parts)

    def presence(self, vector: Tensor) -> Tensor:
        """Where in a reduced vector it says whose gradients are in it, a number for each trained
        parameter."""
        return vector[-self._tail : -3]

    @staticmethod
    def set_loss(vector: Tensor, part: float, loss: float, *, finish: bool = False) -> None:
        """What one member brings in."""
        vector[-3], vector[-2], vector[-1] = float(finish), loss * part if part else 0.0, part

    @staticmethod
    def finish(total: Tensor) -> bool:
        """Whether any member, also one without a part of the batch, was told to end its loops."""
        return bool(total[-3] > 0)

    @staticmethod
    def loss(total: Tensor) -> float:
        """The mean loss in a reduced vector; 0 where nobody has brought anything in."""
        loss, weight = total[-2:].tolist()
        return loss / weight if weight else 0.0

    @staticmethod
    def weight(total: Tensor) -> float:
        """By how much a reduced vector is weighed: 1 where nobody's part is missing."""
        return float(total[-1])

    def finite(self) -> bool:
        """Whether all parameters are finite. Buffers may hold infinities on purpose, as masks do."""
        return all(bool(weight.isfinite().all()) for weight in [p.detach() for p in self._parameters])

    def unpack(self, total: Tensor) -> bool:
        """Set every gradient and float buffer to the mean of those who have brought in theirs.

        Returns whether its loss or a gradient is not finite: then there are no gradients, since a step by
        them would end training for good; but where a scaler looks for them itself.
        """
        weight, present = float(total[-1]), self.presence(total).tolist()
        if not weight:
            self.clear_gradients()
            return False
        spoilt = not self.scaled and not self._is_finite(total)
        if spoilt:
            present = [0.0] * len(present)
        rooms = self.rooms(total)
        pairs = list(zip(self.float_buffers, rooms[len(self.trained) :], strict=True))
        for parameter, room, there in zip(self.trained, rooms, present, strict=False):
            if there:
                pairs.append((_dense_gradient(parameter), room))
            else:
                parameter.grad = None
        if pairs:
            _copy([target for target, _ in pairs], [room.view_as(t) for t, room in pairs], weight)
        for parameter in self._sparse:
            if parameter.grad is not None:
                parameter.grad = parameter.grad.to_sparse(1)
        return spoilt

    def _is_finite(self, total: Tensor) -> bool:
        # By their sum, which is one pass without room for results.
        return math.isfinite(total[: self.gradients].sum().item() + total[-2].item())

    def clear_gradients(self) -> None:
        """No gradients, for a step that is to change nothing."""
        for parameter in self.trained:
            parameter.grad = None

    def digest(self) -> int:
        """31 bits that differ where any parameter differs in any bit."""
        value = 0
        for weight in [p.detach() for p in self._parameters]:
            value = zlib.crc32(_bytes_of(weight), value)
        return value & 0x7FFFFFFF

    @property
    def _everything(self) -> list[Tensor]:
        return [p.detach() for p in self._parameters] + self.buffers

    def whole(self) -> Tensor:
        """All parameters and buffers as one vector of bytes."""
        return torch.cat(
            [torch.frombuffer(bytearray(_bytes_of(t)), dtype=torch.uint8) for t in self._everything]
        )

    def apart(self, data: Tensor) -> float:
        """How far the parameters are from those of another member's `whole`, at most, in parts of the largest
        that it has."""
        most = largest = 0.0
        for own, piece in zip(self._parameters, self._pieces(data), strict=False):
            other = piece.clone().view(own.dtype).view(own.shape)
            most = max(most, float((own.detach() - other).abs().max()))
            largest = max(largest, float(other.abs().max()))
        return most / largest if largest else most

    def _pieces(self, data: Tensor) -> Sequence[Tensor]:
        return data.split_with_sizes([t.numel() * t.element_size() for t in self._everything])

    def set_whole(self, data: Tensor) -> None:
        """Take the parameters and buffers that another member's `whole` gave."""
        with torch.no_grad():
            for target, piece in zip(self._everything, self._pieces(data), strict=True):
                target.copy_(piece.clone().view(target.dtype).view(target.shape))


def _dense_gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None or parameter.grad.is_sparse:
        parameter.grad = torch.empty_like(parameter)
    return parameter.grad


def _copy(targets: list[Tensor], values: list[Tensor], weight: float) -> None:
    torch._foreach_copy_(targets, values)
    # Parts of a whole sum to 1 but for rounding; else somebody's part is missing.
    if abs(weight - 1) > ROUNDING:
        torch._foreach_div_(targets, weight)


def _buffer(module: nn.Module, name: str) -> Tensor:
    found = module._buffers[name]
    if found is None:
        raise BadProgram(
            f"the buffer {name} of a {type(module).__name__} is gone: keep it a tensor while it trains"
        )
    return found


def _places_of_buffers(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Each once, though several modules may have it."""
    seen, found = set[int](), []
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and id(buffer) not in seen:
                seen.add(id(buffer))
                found.append((module, name))
    return found


def _sparse_weights(model: nn.Module) -> Iterable[Tensor]:
    """Those whose gradients are sparse, as the optimisers for them expect."""
    tables = (m for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag)))
    return (table.weight for table in tables if table.sparse)


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
    """What members compare before they come together: the layout, and how they speak in a formation."""
    return hashlib.sha256("\n".join([SPEECH, *layout]).encode()).hexdigest()[:16]


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


def _bytes_of(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
