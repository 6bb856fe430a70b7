"""What a supervisor knows of its worker's training besides its group's own state."""

from dataclasses import dataclass, field

from edgetrain.group.status import Stage
from edgetrain.link import Exchanged, Progress
from edgetrain_protocol.history import History
from edgetrain_protocol.report import Checkpoint
from edgetrain_protocol.rounds_report import HolderPart


@dataclass
class Facts:
    """Written by the supervisor."""

    progress: Progress | None = None
    checkpoint: Checkpoint | None = None
    """The last that it saved."""
    checkpoints: dict[tuple[History, int], Checkpoint] = field(default_factory=dict)
    """The newest that it holds, by history and step."""
    model: str | None = None
    not_pushed: str | None = None
    """As in link.Finished."""
    finished: bool = False
    error: str | None = None
    error_reason: str | None = None
    exit_code: int | None = None
    """Of its program, once that has ended with an error."""
    warnings: dict[str, str] = field(default_factory=dict)
    """Reason -> text, of what training survives; the first came first."""
    broken_since: float | None = None
    """Since when the group does not train: it broke, or stopped at a boundary."""
    recovering: bool = False
    """It broke; to stop at a boundary for a newcomer is no loss to recover from."""
    recoveries: int = 0
    recovery_seconds: float = 0.0
    recovery_seconds_total: float = 0.0
    incarnation: str = ""
    program: str = ""
    """Hash of its files, when it was started last."""
    started_at: float | None = None
    """When that was; a monotonic time, seconds."""
    lost: tuple[str, ...] = field(default_factory=tuple)
    volumes_gone: bool = False
    """The pod's own volumes were taken away under it. It trains on, from memory."""
    store_read: bool = False
    """What the remote store holds is among what it holds."""
    exchanged: Exchanged | None = None
    """Where its group is among the others, in rounds."""
    log_disk: str = ""
    """Identity of the disk that a log of rounds would be kept on; empty until it is known."""
    holder: HolderPart | None = None
    """Of the log of rounds, beside this worker."""
    fetching: str = ""
    """What is fetched before the program starts."""
    disk_silent: bool = False
    """It does not do what it is asked for: votes wait for it."""

    def note(self, stage: Stage, now: float) -> None:
        """That its group stands still, and since when; `now`: a monotonic time, seconds."""
        if stage in (Stage.BROKEN, Stage.STOPPED):
            self.broken_since = self.broken_since or now
            self.recovering |= stage is Stage.BROKEN
