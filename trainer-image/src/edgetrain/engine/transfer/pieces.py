"""Tensors on a connection: in pieces with a checksum each, read from where they are, put where they belong.

Both ends know the tensors' sizes. What goes over is their bytes one after another, cut into pieces of
PIECE_BYTES (the last may be shorter), each after its CRC-32: beneath TLS, which keeps others out, it tells of
damage in memory and of mistakes.
"""

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from edgetrain.engine.transfer.wire import Wire, WireError

PIECE_BYTES = 1 << 20
_CRC_BYTES = 4


class Pieces:
    """How the bytes of some tensors are cut."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._ends = list(accumulate((t.numel() * t.element_size() for t in tensors), initial=0))
        self.bytes = self._ends[-1]
        self.count = -(-self.bytes // PIECE_BYTES)

    def size(self, piece: int) -> int:
        """In bytes."""
        return min(PIECE_BYTES, self.bytes - piece * PIECE_BYTES)

    def parts(self, piece: int) -> Iterator[tuple[int, int, int]]:
        """What a piece is made of, in order: the number of a tensor, and which of its bytes, from and to."""
        start = piece * PIECE_BYTES
        stop = start + self.size(piece)
        tensor = bisect_right(self._ends, start) - 1
        while start < stop:
            begin, end = self._ends[tensor], self._ends[tensor + 1]
            upto = min(end, stop)
            if upto > start:
                yield tensor, start - begin, upto - begin
            start, tensor = upto, tensor + 1


def send_tensors(wire: Wire, tensors: Sequence[Tensor], first: int = 0) -> None:
    """All pieces from `first` on.

    Raises:
        ValueError: there is no such piece.
        WireError: as of `Wire.push`.
    """
    pieces = Pieces(tensors)
    if not 0 <= first <= pieces.count:
        raise ValueError(f"no piece {first} of {pieces.count}")
    room = memoryview(bytearray(_CRC_BYTES + PIECE_BYTES))
    for piece in range(first, pieces.count):
        filled = _CRC_BYTES
        for tensor, start, stop in pieces.parts(piece):
            room[filled : filled + stop - start] = _bytes_of(tensors[tensor])[start:stop]
            filled += stop - start
        room[:_CRC_BYTES] = zlib.crc32(room[_CRC_BYTES:filled]).to_bytes(_CRC_BYTES, "big")
        wire.push(room[:filled])


class Arriving:
    """Tensors that come in pieces. Each has room from its first byte on, not from when it is announced."""

    def __init__(self, announced: Sequence[Tensor]) -> None:
        """`announced`: like those that are to come, on the device `meta`."""
        self._announced, self._pieces = announced, Pieces(announced)
        self._room = memoryview(bytearray(_CRC_BYTES + PIECE_BYTES))
        self._tensors: list[Tensor] = []
        self.come = 0
        """Pieces that are whole."""

    @property
    def bytes(self) -> int:
        """Of all pieces."""
        return self._pieces.bytes

    @property
    def missing(self) -> int:
        """Pieces that are still to come."""
        return self._pieces.count - self.come

    def receive(self, wire: Wire) -> None:
        """The next piece; where this fails, the same one is the next again.

        Raises:
            WireError: the connection failed, the piece is damaged, or there is no room for it.
        """
        whole = self._room[: _CRC_BYTES + self._pieces.size(self.come)]
        wire.fill(whole)
        checksum, data = int.from_bytes(whole[:_CRC_BYTES], "big"), whole[_CRC_BYTES:]
        if zlib.crc32(data) != checksum:
            raise WireError(f"piece {self.come} was damaged on the way: its checksum differs")
        for tensor, start, stop in self._pieces.parts(self.come):
            self._make_room(tensor + 1)
            _bytes_of(self._tensors[tensor])[start:stop] = data[: stop - start]
            data = data[stop - start :]
        self.come += 1

    def whole(self) -> list[Tensor]:
        """All of them, once nothing is missing. Raises WireError: there is no room for them."""
        self._make_room(len(self._announced))
        return self._tensors

    def _make_room(self, count: int) -> None:
        try:
            for like in self._announced[len(self._tensors) : count]:
                self._tensors.append(_made(like))
        except RuntimeError as error:
            raise WireError(f"there is no room for a state of {self.bytes} bytes: {error}") from error


def _made(like: Tensor) -> Tensor:
    """On the processor. Not by `empty_like`: from a tensor without bytes that imports torch's compiler, which
    takes a newcomer seconds, and memory for good.

    Raises:
        WireError: it is not dense.
    """
    made = torch.empty_strided(like.size(), like.stride(), dtype=like.dtype)
    if made.untyped_storage().nbytes() != made.numel() * made.element_size():
        raise WireError(f"a tensor of shape {tuple(like.size())} is announced that is not dense")
    return made


def _bytes_of(tensor: Tensor) -> memoryview:
    """Where they are, in the order in which they lie there: the tensor is dense, whatever its strides."""
    flat = tensor.as_strided((tensor.numel(),), (1,))
    return flat.view(torch.uint8).numpy().data
