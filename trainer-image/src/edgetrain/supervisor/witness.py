"""What the program says of its training, turned into facts for reports, metrics, and the heartbeat file."""

import logging
import time
from pathlib import Path

from edgetrain.local import (
    Broken,
    Built,
    Checkpointed,
    Failed,
    Finished,
    Mended,
    Message,
    Progress,
    Ready,
    Warned,
)
from edgetrain.rundir import Heartbeat, write_heartbeat
from edgetrain.supervisor.metrics import Metrics
from edgetrain.supervisor.training import Facts
from edgetrain_protocol.report import Checkpoint

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 0.2


class Witness:
    """Writes down what it hears; decides nothing."""

    def __init__(self, run_dir: Path, metrics: Metrics) -> None:
        self.facts = Facts()
        self._run_dir, self._metrics = run_dir, metrics
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
            case Checkpointed(lineage, step, digest, path):
                facts.checkpoint = Checkpoint(
                    lineage=lineage, step=step, digest=digest, path=path, at=time.time()
                )
            case Finished(path, _):
                facts.finished, facts.model = True, path
            case Failed(reason, error):
                facts.error_reason, facts.error = reason, error
            case Warned(reason, error):
                log.warning("%s: %s", reason, error)
                facts.warnings[reason] = error
            case Mended(reason):
                facts.warnings.pop(reason, None)
            case Broken():
                facts.broken_since = facts.broken_since or now
                facts.recovering = True
            case Built():
                self._recovered(now)

    def _beat(self, progress: Progress) -> None:
        now = time.time()
        if now - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = now
        formation = progress.formation.number if progress.formation else 0
        beat = Heartbeat(now, progress.phase, progress.step, formation)
        try:
            write_heartbeat(self._run_dir, beat)
        except OSError as error:
            log.debug("no heartbeat file: %s", error)

    def _recovered(self, now: float) -> None:
        self._metrics.formations.inc()
        if self.facts.recovering and self.facts.broken_since is not None:
            seconds = now - self.facts.broken_since
            self.facts.recoveries += 1
            self.facts.recovery_seconds = seconds
            self.facts.recovery_seconds_total += seconds
        self.facts.recovering, self.facts.broken_since = False, None
