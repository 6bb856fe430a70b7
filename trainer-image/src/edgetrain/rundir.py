"""Files by which the two containers of a pod tell each other what they need, in a directory they share.

Files, because either may be absent or restart at any time, and neither may wait for the other.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edgetrain_protocol.names import HEARTBEAT_FILE, RUN_DIR, Env

FINISHING_FILE = "finishing"
"""Made by the supervisor when training is over: the profiler shall hand over its reports."""
DRAINED_FILE = "profiler-drained"
"""Made by the profiler when it has, or has given up: the pod may end."""


def run_dir_of(env: Mapping[str, str] = os.environ) -> Path:
    """The directory that the containers of this pod share."""
    return Path(env.get(Env.RUN_DIR, RUN_DIR))


@dataclass(frozen=True)
class Heartbeat:
    """Where the trainer is, as its supervisor last wrote it. Times in seconds."""

    at: float
    """Unix time."""
    phase: str = ""
    step: int = 0
    formation: int = 0


def write_heartbeat(run_dir: Path, heartbeat: Heartbeat) -> None:
    """Replace the heartbeat file; a reader sees the old one or the new one, whole."""
    new = run_dir / f".{HEARTBEAT_FILE}"
    new.write_text(json.dumps(asdict(heartbeat)))
    new.replace(run_dir / HEARTBEAT_FILE)


def read_heartbeat(run_dir: Path) -> Heartbeat | None:
    """The last heartbeat, or None where there is none that can be read."""
    try:
        document = json.loads((run_dir / HEARTBEAT_FILE).read_text())
        at, phase = float(document["at"]), str(document.get("phase", ""))
        return Heartbeat(at, phase, int(document.get("step", 0)), int(document.get("formation", 0)))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None


def ask_for_reports(run_dir: Path) -> Path:
    """Tell the profiler that training is over; returns the file that it makes once it has handed all over.

    Raises:
        OSError: the directory cannot be written.
    """
    drained = run_dir / DRAINED_FILE
    drained.unlink(missing_ok=True)
    (run_dir / FINISHING_FILE).touch()
    return drained
