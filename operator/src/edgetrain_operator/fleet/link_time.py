"""What probes cost: a link is paid for in the seconds that it was full."""

SHARE = 0.0055
"""Of a link's time that regular probes may take in the long run."""
RESERVE_SHARE = 0.0025
"""Kept for probes that confirm an alarm; the three leave a rest below 1 % for what the first probe took."""
CHECK_SHARE = 0.0015
"""What sets the pace of checks, also of those who still pay off what their first probes took."""
SMALLEST_BURST, LARGEST_BURST = 128 << 10, 4 << 20
BURST_SECONDS = 0.02
"""A burst shorter than this measures queues, not the link."""


def burst_bytes(rate: float | None) -> int:
    """The burst that fills a link of this rate long enough, as the profiler finds it by doubling."""
    size = SMALLEST_BURST
    while size < LARGEST_BURST and rate is not None and size * 8 / rate < BURST_SECONDS:
        size *= 2
    return size


def link_seconds(rate: float | None, size: int) -> float:
    """How long `size` bytes fill a link."""
    return size * 8 / rate if rate else 0.0
