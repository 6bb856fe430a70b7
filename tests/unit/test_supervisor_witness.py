"""What a supervisor makes of its program's words."""

from pathlib import Path

from edgetrain.local import Broken, Built, FormationId, Position
from edgetrain.supervisor.metrics import Metrics
from edgetrain.supervisor.witness import Witness

FORMATION = FormationId(1, 1)


def test_a_formation_that_broke_is_a_recovery(tmp_path: Path) -> None:
    witness = Witness(tmp_path, Metrics())
    witness.heard(Broken(FORMATION, Position(), "lost", []), 10.0)
    witness.heard(Built(FORMATION), 10.25)
    assert (witness.facts.recoveries, witness.facts.recovery_seconds) == (1, 0.25)


def test_a_stop_for_a_newcomer_is_none(tmp_path: Path) -> None:
    witness = Witness(tmp_path, Metrics())
    witness.facts.broken_since = 10.0
    witness.heard(Built(FORMATION), 10.25)
    assert witness.facts.recoveries == 0
    assert witness.facts.broken_since is None
