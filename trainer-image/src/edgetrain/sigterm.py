"""A container's first process can be told to end from its first moment on."""

import signal
import sys


def end_on_sigterm() -> None:
    """Until the process has a handler of its own. To the first process of a container a signal without a
    handler is nothing: one that came while it still imported was lost, and the pod ran on to the end of
    its grace period."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
