"""Reports in memory: no worker silences itself for long, nor says alone how far all have come."""

import pytest

from edgetrain_operator.fleet.store import ReportStore, Sender, check
from edgetrain_protocol.history import ALL, first_of
from edgetrain_protocol.report import TrainingPart
from tests.support.fleet import JOB, report

NOW = 1_700_000_000.0


@pytest.mark.attack(10)
def test_the_last_of_all_numbers_silences_nobody() -> None:
    store = ReportStore()
    of_the_future = report(sequence=2**53 - 1, at=NOW + 500)
    check(of_the_future, Sender("w-a", "pod-w-a"), NOW)
    store.take(JOB, of_the_future, NOW)
    store.take(JOB, report(sequence=7, at=NOW + 1), NOW + 1)
    assert store.reports(JOB)["w-a"].head.sequence == 7


def test_how_far_the_job_has_come_is_not_for_one_to_say() -> None:
    store = ReportStore()
    for worker, lineage, step in (("w-a", 2, 40), ("w-b", 2, 41), ("w-c", 9, 10**12)):
        said = TrainingPart(state="training", incarnation="i", lineage=lineage, step=step)
        store.take(JOB, report(worker, training=said), NOW)
    assert store.furthest(JOB) == {ALL: (first_of(2), 41)}
    again = TrainingPart(state="training", incarnation="j", lineage=2, step=0)
    store.take(JOB, report("w-b", 1, training=again), NOW)
    assert store.furthest(JOB) == {ALL: (first_of(2), 41)}


@pytest.mark.attack(6)
def test_the_highest_revision_is_what_any_member_holds() -> None:
    store = ReportStore()
    assert store.highest_revision(JOB) == 0
    holding = TrainingPart(state="training", incarnation="i1", revision_held=57)
    store.take(JOB, report(training=holding), NOW)
    assert store.highest_revision(JOB) == 57
