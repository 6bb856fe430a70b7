"""What a supervisor makes of its program's words."""

from pathlib import Path

from edgetrain.link import Broken, Built, FormationId, Mended, Position, Ready, Warned
from edgetrain.supervisor.fact_recorder import FactRecorder
from edgetrain.supervisor.metrics import Metrics
from tests.support.histories import FIRST as FIRST_HISTORY

FORMATION = FormationId(FIRST_HISTORY, 1)


def test_a_formation_that_broke_is_a_recovery(tmp_path: Path) -> None:
    recorder = FactRecorder(tmp_path, Metrics())
    recorder.heard(Broken(FORMATION, Position(), "lost", []), 10.0)
    recorder.heard(Built(FORMATION), 10.25)
    assert (recorder.facts.recoveries, recorder.facts.recovery_seconds) == (1, 0.25)


def test_a_stop_for_a_newcomer_is_none(tmp_path: Path) -> None:
    recorder = FactRecorder(tmp_path, Metrics())
    recorder.facts.broken_since = 10.0
    recorder.heard(Built(FORMATION), 10.25)
    assert recorder.facts.recoveries == 0
    assert recorder.facts.broken_since is None


def test_a_warning_holds_until_it_is_mended_or_the_program_begins_again(tmp_path: Path) -> None:
    recorder = FactRecorder(tmp_path, Metrics())
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
