"""What the operator relays of jobs and workers: which series, how many, and when no more."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgetrain_operator.core.model import NodeView
from edgetrain_operator.core.series import STALE_SECONDS, JobSeen, straggler_ratios
from edgetrain_operator.runtime.relay import page
from edgetrain_protocol.report import Totals, Traffic
from edgetrain_protocol.series import rows_of_report
from tests.support.fleet import report
from tests.support.relayed import MEASURED, NOW, held, job, training

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
MOST_SERIES = 60


def shown(*jobs: JobSeen, nodes: Iterable[NodeView] = ()) -> dict[tuple[str, tuple[str, ...]], float]:
    """Value by name and values of labels, as a scrape would read them."""
    text = page(jobs, nodes, NOW).decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    found = {(s.name, tuple(sorted(s.labels.values()))): s.value for s in samples}
    assert len(found) == len(samples), "a series is there twice"
    return found


def test_a_workers_numbers_are_relayed_with_job_and_node() -> None:
    found = shown(job())
    who = ("digits", "farm", "node-w-a")
    assert found["edgetrain_steps_total", who] == 69
    assert found["edgetrain_loss", who] == 0.5
    assert found["edgetrain_recovery_seconds_sum", who] == 0.75
    assert found["edgetrain_recovery_seconds_count", who] == 2
    assert found["edgetrain_phase_seconds_total", (*who, "reduce")] == 7
    assert found["edgetrain_bytes_total", ("digits", "farm", "node-w-a", "sent", "wan")] == 5
    assert found["edgetrain_worker_bandwidth_bytes_per_second", who] == 10e6
    assert found["edgetrain_worker_aggregator", who] == 1
    assert found["edgetrain_worker_aggregator", ("digits", "farm", "node-w-b")] == 0
    assert found["edgetrain_checkpoint_timestamp_seconds", who] == NOW - 9


def test_a_job_and_its_nodes_are_told_of() -> None:
    found = shown(job(), nodes=[NodeView("north"), NodeView("south", ready=False)])
    assert found["edgetrain_job_condition", ("Training", "digits", "farm")] == 1
    assert found["edgetrain_job_condition", ("Failed", "digits", "farm")] == 0
    assert found["edgetrain_job_workers", ("desired", "digits", "farm")] == 2
    assert found["edgetrain_job_progress_ratio", ("digits", "farm")] == 0.125
    assert found["edgetrain_job_plan_revision", ("digits", "farm")] == 4
    assert found["edgetrain_node_ready", ("north",)] == 1
    assert found["edgetrain_node_ready", ("south",)] == 0


def test_own_data_are_counted_by_label() -> None:
    own = training(local_samples=120, local_labels={"cat": 100, "dog": 20})
    found = shown(job(reports={"w-a": held("w-a", training=own)}))
    who = ("digits", "farm", "node-w-a")
    assert found["edgetrain_local_samples", who] == 120
    assert found["edgetrain_local_label_samples", ("digits", "dog", "farm", "node-w-a")] == 20


def test_of_rounds_the_newest_version_and_the_one_in_use_are_told() -> None:
    found, who = shown(job()), ("digits", "farm", "node-w-a")
    names = ("edgetrain_version", "edgetrain_version_applied", "edgetrain_merged_samples")
    assert [found[name, who] for name in names] == [12, 11, 2400]
    alone = shown(job(reports={"w-a": held("w-a", training=training(rounds=None))}))
    assert not {name for name, _ in alone} & set(names)


def test_what_programs_log_is_relayed_once() -> None:
    logged = training(metrics={"accuracy": 0.75})
    found = shown(job(reports={worker: held(worker, training=logged) for worker in ("w-a", "w-b")}))
    program = {labels: value for (name, labels), value in found.items() if name == "edgetrain_program_metric"}
    assert program == {("accuracy", "digits", "farm", "node-w-a"): 0.75}


def test_a_worker_has_at_most_sixty_series() -> None:
    series = Counter(labels for _, labels in shown(job()) if "node-w-a" in labels)
    assert 30 < sum(series.values()) <= MOST_SERIES


def test_a_silent_worker_is_only_told_to_be_silent() -> None:
    last = NOW - STALE_SECONDS - 1
    found = shown(job(reports={"w-a": held("w-a"), "w-b": held("w-b", last)}))
    of_b = {name: value for (name, labels), value in found.items() if "node-w-b" in labels}
    assert of_b == {"edgetrain_worker_report_timestamp_seconds": last}


def test_one_silent_part_does_not_silence_the_other() -> None:
    both = held("w-a")
    dead_trainer = replace(both, training_received=NOW - STALE_SECONDS - 1)
    names = {name for name, labels in shown(job(reports={"w-a": dead_trainer})) if "node-w-a" in labels}
    assert "edgetrain_profiler_node_cpu_ratio" in names
    assert "edgetrain_steps_total" not in names


def test_words_of_a_workers_own_make_no_series() -> None:
    odd = training(totals=Totals(phase_seconds={"x1": 1.0}, traffic=(Traffic(scope="x2"),)))
    found = shown(job(reports={"w-a": held("w-a", training=odd)}))
    assert {label for _, labels in found for label in labels}.isdisjoint({"x1", "x2"})


def test_who_works_longer_than_the_others_is_a_straggler() -> None:
    busy = {"a": 1, "b": 1, "c": 3}
    parts = {w: training(phase_seconds={"forward": t, "wait": 9.0}) for w, t in busy.items()}
    assert straggler_ratios(parts) == busy
    assert straggler_ratios({"a": training(phase_seconds={"wait": 1.0})}) == {}


def test_a_page_says_the_same_on_site() -> None:
    """The rows of a report are one function's; the operator adds to them and changes none."""
    alone = {row.name for row in rows_of_report(report(training=training(), measured=MEASURED), {})}
    assert alone <= {name for name, _ in shown(job())}


@pytest.mark.parametrize("name", sorted({name for name, _ in shown(job(), nodes=[NodeView("n")])}))
def test_is_documented(name: str) -> None:
    plain = name.removesuffix("_sum").removesuffix("_count")
    assert f"`{plain}`" in DOCUMENTED or f"`{plain}{{" in DOCUMENTED


def test_a_thousand_workers_page_is_drawn_in_seconds() -> None:
    crowd = job([f"w-{number}" for number in range(1000)])
    began = time.process_time()
    assert len(page([crowd], [], NOW)) > 1_000_000
    assert time.process_time() - began < 5.0
