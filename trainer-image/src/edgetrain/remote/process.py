"""A process of edgetrain.remote's, for whoever may wait for it: from its order to its last word."""

import subprocess
import sys
import threading
from collections.abc import Callable

from edgetrain.remote.orders import Done, Failed, GotOn, Order, Waits, read_said, to_line

COMMAND = (sys.executable, "-P", "-m", "edgetrain.remote")
PUSH_SECONDS = 1800.0
"""Of a model, before the job is over without it."""
NO_WORD = Failed(
    "RemoteFailed", "the process that fetches and pushes ended without a word; see the worker's log"
)


class RemoteProcess:
    """One at a time; any thread may stop it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def carry_out(self, order: Order, heard: Callable[[GotOn | Waits], None]) -> Done | Failed:
        """Its last word; `heard` is called with what it says before."""
        with self._lock:
            if self._stopped:
                return NO_WORD
            process = self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        try:
            process.stdin.write(to_line(order))
            process.stdin.flush()
            for line in process.stdout:
                said = read_said(line)
                if isinstance(said, Done | Failed):
                    return said
                heard(said)
            return NO_WORD
        except BrokenPipeError:
            return NO_WORD
        finally:
            process.kill()
            process.wait()
            for end in (process.stdin, process.stdout):
                end.close()

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        with self._lock:
            self._stopped = True
            if self._process:
                self._process.kill()
