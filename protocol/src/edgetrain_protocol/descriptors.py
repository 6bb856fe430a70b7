"""How many files and connections a process may have open."""

import resource


def raise_limit() -> int:
    """Raise it to what may be had without rights, for this process and those that it starts; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
