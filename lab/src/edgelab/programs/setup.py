"""All set-up in one call."""

from collections.abc import Callable

from edgelab.programs.acquire import Programs, acquire


def set_up(say: Callable[[str], None]) -> Programs:
    """Install packages and get programs."""
    return acquire(say)
