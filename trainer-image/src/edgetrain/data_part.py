"""Which part of the data is whose: plain numbers, for those who plan and those who train."""

from typing import NamedTuple


class DataPart(NamedTuple):
    """Which part of each epoch's positions is a group's."""

    number: int = 0
    of: int = 1
    """How many there are; where there are more than samples, some have one in common."""

    def bounds(self, samples: int) -> tuple[int, int]:
        """First position, and the one after the last."""
        start = samples * self.number // self.of
        return start, max(samples * (self.number + 1) // self.of, start + 1)


WHOLE = DataPart()
