"""Processes that programs have left behind: the supervisor's, where it is its container's first process."""

import contextlib
import os


def collect() -> None:
    """Those that have ended: they stay in the kernel's table until somebody asks for them.

    Not while a program runs: whoever waits for that would miss its end.
    """
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
