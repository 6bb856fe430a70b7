"""One container as a process: started, ended, started again, and told of as a kubelet tells of it."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgetrain_local.output import Output, Say
from edgetrain_local.processes import end_with_parent, family, tell
from edgetrain_protocol.backoff import doubled

LONGEST_BACK_OFF = 8.0
"""Seconds between starts: they double from one. A kubelet waits for ten, and then for minutes."""
POWER_LOST = 255
"""The exit code that a runtime gives to containers which it finds dead after a cut."""
OUTPUT_SECONDS = 2.0
"""For the last of what a process said to be read."""
MOST_WORDS = 4096
"""Bytes of last words, as a kubelet keeps."""

Raw = dict[str, Any]


@dataclass
class Container:
    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    words: Path
    """Its termination log."""
    say: Say
    always: bool = False
    """Started again also where it ended well."""
    _process: subprocess.Popen[bytes] | None = None
    _output: Output | None = None
    _last: Raw | None = None
    """How it ended last."""
    _again_at: float | None = 0.0
    """When it is started next; None where it is not."""
    _starts: int = field(default=0, init=False)

    @property
    def restarts(self) -> int:
        return max(0, self._starts - 1)

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def over(self) -> bool:
        """It will not run again."""
        return self._process is None and self._again_at is None

    @property
    def ended_well(self) -> bool:
        return self.over and self._last is not None and self._last["exitCode"] == 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def poll(self, now: float) -> bool:
        """Notice its end, start it where that is due; True where either was so."""
        if self._process and self._process.poll() is not None:
            self._ended(self._process.returncode, now)
            return True
        if self._process is None and self._again_at is not None and now >= self._again_at:
            self._start()
            return True
        return False

    def stop(self) -> None:
        """Ask it to end, for good."""
        self._again_at = None
        if self._process:
            self._process.send_signal(signal.SIGTERM)

    def cut(self) -> None:
        """End it and all its own at once, as a power cut does: it is started again when there is power."""
        if self._process is None:
            return
        tell(family(self._process.pid), signal.SIGKILL)
        self._process.wait()
        self._end(POWER_LOST, "Error", "")
        self._again_at = None

    def power_on(self, now: float) -> None:
        if self._process is None and (self.always or not self.ended_well):
            self._again_at = now

    def status(self) -> Raw:
        """As in a pod's containerStatuses."""
        if self._process:
            state: Raw = {"running": {}}
        elif self._last and self.over:
            state = {"terminated": self._last}
        else:
            state = {"waiting": {"reason": "CrashLoopBackOff" if self._last else "ContainerCreating"}}
        before = {"lastState": {"terminated": self._last}} if self._last and "terminated" not in state else {}
        return {"name": self.name, "restartCount": self.restarts, "state": state, **before}

    def _start(self) -> None:
        self._starts += 1
        self.words.write_bytes(b"")
        # In a session of its own: Ctrl-C on the terminal is ours to pass on.
        self._process = subprocess.Popen(
            self.command,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        assert self._process.stdout is not None
        self._output = Output(self._process.stdout, self.log, self.say)
        self._output.start()

    def _ended(self, status: int, now: float) -> None:
        assert self._output is not None
        self._output.join(OUTPUT_SECONDS)
        code = status if status >= 0 else 128 - status
        said = self.words.read_text(errors="replace") or "\n".join(self._output.last)
        again = self._again_at is not None and (self.always or code != 0)
        self._end(code, "Completed" if code == 0 else "Error", said[-MOST_WORDS:])
        self._again_at = now + doubled(1.0, self.restarts, LONGEST_BACK_OFF) if again else None

    def _end(self, code: int, reason: str, message: str) -> None:
        self._process = None
        finished = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._last = {"exitCode": code, "reason": reason, "message": message, "finishedAt": finished}
