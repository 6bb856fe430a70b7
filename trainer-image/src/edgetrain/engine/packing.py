"""A step's gradients on their way into the vector that is reduced, bucket by bucket, while backward runs."""

from collections.abc import Callable, Sequence

from torch import Tensor, cat, float32, mul, tensor

from edgetrain.engine.buckets import Buckets
from edgetrain.engine.state.flat_model import FlatModel

SMALL = 1 << 16
"""Numbers of a bucket that is packed in one piece: more are passed over once, parameter by parameter."""


class Packing:
    """One step's; for the program's thread."""

    def __init__(
        self,
        flat: FlatModel,
        buckets: Buckets,
        into: Tensor,
        part: float,
        loss: float,
        ready: Callable[[int], None],
        *,
        finish: bool = False,
    ) -> None:
        """
        Args:
            part: by which this member's values are weighed: its part of the step's samples, 0 to 1.
            ready: called with each bucket's place, once, when its values are all there.
            finish: this member was told to end its loops.
        """
        self._flat, self._buckets, self._part, self._ready = flat, buckets, part, ready
        self._into = into
        self._rooms, self._presence = flat.rooms(into), flat.presence(into)
        self._missing = [len(bucket.parameters) for bucket in buckets.each]
        # The last one waits for what only the end of backward tells.
        self._missing[-1] += 1
        self._arrived = [False] * len(flat.trained)
        self._sent = [False] * len(buckets.each)
        self._loss, self._finish = loss, finish
        self.spoilt = False
        """A gradient has changed after its bucket was sent: backward came by twice."""

    def arrived(self, place: int) -> None:
        """Backward has made the gradient of the trained parameter at this place."""
        bucket = self._buckets.of[place]
        if self._sent[bucket]:
            self.spoilt = True
            return
        _pack(self._flat.trained[place].grad, self._part, self._rooms[place])
        if not self._arrived[place]:
            self._arrived[place] = True
            self._missing[bucket] -= 1
            if not self._missing[bucket]:
                self._send(bucket)

    def finish(self) -> bool:
        """Backward is over: who has no gradient now has none in this step. Says whether what was sent is
        spoilt."""
        self._pack_tail()
        for number, bucket in enumerate(self._buckets.each):
            if not self._sent[number]:
                self._pack_all([place for place in bucket.parameters if not self._arrived[place]])
                self._send(number)
        return self.spoilt

    def again(self) -> None:
        """Pack all of it anew, as gradients and buffers are now."""
        self._pack_all(range(len(self._flat.trained)))
        self._pack_tail()

    def _pack_all(self, places: Sequence[int]) -> None:
        if len(places) > 1 and self._packed_together(places):
            return
        for place in places:
            _pack(self._flat.trained[place].grad, self._part, self._rooms[place])

    def _packed_together(self, places: Sequence[int]) -> bool:
        """Whether it could be done at once, as of a small model's gradients, whose number costs more than
        their size."""
        start = self._rooms[places[0]].storage_offset()
        stop = self._rooms[places[-1]].storage_offset() + self._rooms[places[-1]].numel()
        gradients = [self._flat.trained[place].grad for place in places]
        if not self._part or stop - start > SMALL or sum(map(_numbers, gradients)) != stop - start:
            return False
        begin = self._into.storage_offset()
        room = self._into[start - begin : stop - begin]
        cat([gradient.detach().reshape(-1) for gradient in gradients if gradient is not None], out=room)
        room.mul_(self._part)
        return True

    def _pack_tail(self) -> None:
        """What goes with the last bucket, which no parameter can complete before this."""
        flat = self._flat
        # Anew too where it is packed again: what is there by then is the first sum's.
        flat.set_loss(self._into, self._part, self._loss, finish=self._finish)
        for buffer, room in zip(flat.float_buffers, self._rooms[len(flat.trained) :], strict=True):
            _pack(buffer, self._part, room)
        made = [0.0 if parameter.grad is None else self._part for parameter in flat.trained]
        if 0.0 in made:
            self._presence.copy_(tensor(made))
        else:
            self._presence.fill_(self._part)

    def _send(self, bucket: int) -> None:
        self._sent[bucket] = True
        self._ready(bucket)


def _numbers(gradient: Tensor | None) -> int:
    """That can be packed as they are."""
    if gradient is None or gradient.is_sparse or gradient.dtype != float32 or gradient.device.type != "cpu":
        return 0
    return gradient.numel()


def _pack(value: Tensor | None, part: float, room: Tensor) -> None:
    # Not 0 * value: what came of a batch that does not count may be nan.
    if value is None or not part:
        room.zero_()
        return
    flat = (value.to_dense() if value.is_sparse else value).detach().reshape(-1)
    if flat.dtype == room.dtype and flat.device == room.device:
        mul(flat, part, out=room)
    else:
        room.copy_(flat).mul_(part)
