"""What the program says of its training, turned into facts for reports, metrics, and the heartbeat file."""

import logging
import time
from collections.abc import Callable

from edgetrain.link import (
    Broken,
    Built,
    Checkpointed,
    Exchanged,
    Failed,
    Finished,
    HeldCheckpoints,
    Mended,
    Message,
    Progress,
    Ready,
    StoreRead,
    Warned,
)
from edgetrain.rundir import Heartbeat
from edgetrain.supervisor.facts import Facts
from edgetrain.supervisor.metrics import Metrics
from edgetrain_protocol.report import Checkpoint

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 0.2
CHECKPOINTS_TOLD = 3


class FactRecorder:
    """Writes down what it hears; decides nothing."""

    def __init__(self, metrics: Metrics, write_beat: Callable[[Heartbeat], None]) -> None:
        self.facts = Facts()
        self._metrics, self._write_beat = metrics, write_beat
        self._beaten = 0.0

    def heard(self, message: Message, now: float) -> None:
        """`now`: a monotonic time, seconds."""
        facts = self.facts
        match message:
            case Ready():
                # Of the program before: this one says so itself where it is still so.
                facts.warnings.clear()
            case Progress():
                facts.progress = message
                self._beat(message)
            case Checkpointed():
                saved = _checkpoint(message).model_copy(update={"at": time.time()})
                facts.checkpoint = saved
                self._hold([*facts.checkpoints.values(), saved])
            case HeldCheckpoints(found):
                self._hold([_checkpoint(one) for one in found])
            case Exchanged():
                facts.exchanged = message
            case StoreRead():
                facts.store_read = True
            case Finished(path, _, not_pushed):
                facts.finished, facts.model, facts.not_pushed = True, path, not_pushed
            case Broken():
                facts.broken_since = facts.broken_since or now
                facts.recovering = True
            case Built():
                self._recovered(now)
            case _:
                self._trouble(message)

    def looked_at_disk(self, *, gone: bool, silent: bool) -> None:
        if silent != self.facts.disk_silent:
            log.warning("the disk %s", "does not answer: votes wait for it" if silent else "answers again")
        self.facts.volumes_gone, self.facts.disk_silent = gone, silent

    def _trouble(self, message: Message) -> None:
        facts = self.facts
        match message:
            case Failed(reason, error):
                facts.error_reason, facts.error = reason, error
            case Warned(reason, error):
                log.warning("%s: %s", reason, error)
                facts.warnings[reason] = error
            case Mended(reason):
                facts.warnings.pop(reason, None)

    def _hold(self, checkpoints: list[Checkpoint]) -> None:
        """The newest of each group: the engine keeps few, and clears older ones away."""
        found = sorted({(c.history, c.step): c for c in checkpoints}.items())
        groups = {history.group for (history, _), _ in found}
        newest = ([f for f in found if f[0][0].group == group][-CHECKPOINTS_TOLD:] for group in groups)
        self.facts.checkpoints = {place: c for of_group in newest for place, c in of_group}

    def _beat(self, progress: Progress) -> None:
        now = time.time()
        if now - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = now
        formation = progress.formation.number if progress.formation else 0
        self._write_beat(Heartbeat(now, progress.phase, progress.step, formation))

    def _recovered(self, now: float) -> None:
        self._metrics.formations.inc()
        if self.facts.recovering and self.facts.broken_since is not None:
            seconds = now - self.facts.broken_since
            self.facts.recoveries += 1
            self.facts.recovery_seconds = seconds
            self.facts.recovery_seconds_total += seconds
        self.facts.recovering, self.facts.broken_since = False, None


def _checkpoint(saved: Checkpointed) -> Checkpoint:
    history = saved.history._asdict()
    return Checkpoint(**history, step=saved.step, digest=saved.digest, path=saved.path)
