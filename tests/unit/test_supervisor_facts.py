"""What a supervisor makes of its program's words."""

from dataclasses import replace

from edgetrain.group.members import Pod
from edgetrain.group.status import Stage, Status
from edgetrain.link import Broken, Built, FormationId, Mended, Position, Ready, Warned
from edgetrain.rundir import Heartbeat
from edgetrain.supervisor.fact_recorder import FactRecorder
from edgetrain.supervisor.facts import Facts
from edgetrain.supervisor.metrics import Metrics
from edgetrain.supervisor.training import training_part
from edgetrain_protocol.report import DISK_SILENT
from tests.support.histories import FIRST as FIRST_HISTORY

FORMATION = FormationId(FIRST_HISTORY, 1)


def no_file(beat: Heartbeat) -> None:
    """Nobody reads it here."""


def test_a_formation_that_broke_is_a_recovery() -> None:
    recorder = FactRecorder(Metrics(), no_file)
    recorder.heard(Broken(FORMATION, Position(), "lost", []), 10.0)
    recorder.heard(Built(FORMATION), 10.25)
    assert (recorder.facts.recoveries, recorder.facts.recovery_seconds) == (1, 0.25)


def test_a_stop_for_a_newcomer_is_none() -> None:
    recorder = FactRecorder(Metrics(), no_file)
    recorder.facts.broken_since = 10.0
    recorder.heard(Built(FORMATION), 10.25)
    assert recorder.facts.recoveries == 0
    assert recorder.facts.broken_since is None


def test_a_warning_holds_until_it_is_mended_or_the_program_begins_again() -> None:
    recorder = FactRecorder(Metrics(), no_file)
    full, damaged = Warned("CheckpointNotSaved", "disk full"), Warned("BadCheckpoint", "cut short")
    recorder.heard(full, 1.0)
    recorder.heard(damaged, 2.0)
    assert recorder.facts.warnings == {"CheckpointNotSaved": "disk full", "BadCheckpoint": "cut short"}
    recorder.heard(Mended("CheckpointNotSaved"), 3.0)
    recorder.heard(Mended("ModelNotSaved"), 3.0)
    assert recorder.facts.warnings == {"BadCheckpoint": "cut short"}
    recorder.heard(Ready("layout", [], Position()), 4.0)
    assert recorder.facts.warnings == {}
    assert recorder.facts.error is None


def test_a_disk_that_does_not_answer_is_a_trouble_until_it_does() -> None:
    def told() -> tuple[str | None, str | None]:
        part = training_part(Status(Pod("w-a", "pod-w-a")), recorder.facts, None, None, {}, 10.0)
        return part.error_reason, part.error

    recorder = FactRecorder(Metrics(), no_file)
    recorder.looked_at_disk(gone=False, silent=True)
    assert told() == (DISK_SILENT, "its disk does not answer: it trains on, and gives no vote until it does")
    recorder.looked_at_disk(gone=False, silent=False)
    assert told() == (None, None)


def test_a_program_that_takes_long_to_come_to_its_first_batch_is_told_of_by_the_minute() -> None:
    status, facts = Status(Pod("w-a", "pod-w-a")), Facts(started_at=100.0)

    def waits(now: float) -> str:
        return training_part(status, facts, None, None, {}, now).waits

    assert waits(159.0) == ""
    assert "started 1 min ago" in waits(161.0) and waits(161.0) == waits(219.0)
    assert "started 5 min ago" in waits(401.0)
    facts.fetching = "fetching program.source"
    assert waits(401.0) == "fetching program.source"
    status, facts.fetching = replace(status, stage=Stage.FRESH), ""
    assert waits(401.0) == ""
