"""How long to wait before the next attempt."""

_MOST = 60
"""Beyond it nobody waits; and no float holds two to the power of all numbers that a count comes to."""


def doubled(first: float, times: int, longest: float) -> float:
    """`first` seconds, doubled so many times, and no more than `longest`."""
    return min(first * 2.0 ** min(times, _MOST), longest)
