"""The workflow that GitHub runs: only what a person can run too, and no more rights than it takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps() -> list[dict[str, Any]]:
    return [step for job in JOBS.values() for step in job["steps"]]


def targets(job: str) -> list[str]:
    """What the job makes."""
    scripts = [step.get("run", "") for step in JOBS[job]["steps"]]
    return [
        t
        for script in scripts
        for words in re.findall(r"\bmake ([a-z0-9 -]+)", script)
        for t in words.split()
    ]


@pytest.mark.parametrize(
    ("job", "made"),
    [
        ("lint", {"lint"}),
        ("unit", {"test-unit"}),
        ("lab", {"test-api", "test-lab"}),
        ("kind", {"e2e-kind"}),
    ],
)
def test_each_job_makes_what_its_name_says(job: str, made: set[str]) -> None:
    assert made <= set(targets(job)) <= TARGETS


def test_it_runs_on_changes_and_with_no_rights_but_to_read() -> None:
    # To YAML 1.1, `on` is a truth value.
    assert WORKFLOW[True].keys() == {"push", "pull_request"}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in JOBS.values())
    assert "secrets." not in str(WORKFLOW)


def test_actions_are_of_one_version_and_leave_no_token_behind() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", name)] == []
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(JOBS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_job_ends_and_runs_on_one_system() -> None:
    assert all(job["timeout-minutes"] <= 120 for job in JOBS.values())
    assert {job["runs-on"] for job in JOBS.values()} == {"ubuntu-24.04"}
