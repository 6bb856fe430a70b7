"""What the documents show and point to is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import figures
from edgetrain_operator.core.runtimes.merge import merged
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.runtime import RuntimeSpec

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "edgetrain" / "README.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", CHART, *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_every_decision_is_listed() -> None:
    decisions = ROOT / "docs" / "decisions"
    listed = set(LINK.findall((decisions / "README.md").read_text()))
    assert {p.name for p in decisions.glob("*.md")} - {"README.md"} == listed


def documented(kind: str) -> list[Any]:
    """Specs of objects of this kind that the documents show."""
    documents = [
        d for page in PAGES for block in BLOCK.findall(page.read_text()) for d in yaml.safe_load_all(block)
    ]
    return [d["spec"] for d in documents if isinstance(d, dict) and d.get("kind") == kind]


def test_jobs_in_the_documents_are_jobs() -> None:
    jobs = documented("EdgeTrainingJob")
    assert jobs
    for job in jobs:
        assert JobSpec.model_validate(job).program.source


def test_the_runtime_in_the_documents_does_for_the_job_beside_it() -> None:
    (runtime,) = documented("EdgeTrainingRuntime")
    (job,) = (job for job in documented("EdgeTrainingJob") if "runtimeRef" in job)
    assert merged(JobSpec.model_validate(job), RuntimeSpec.model_validate(runtime)).refused == ()


def test_every_make_target_in_the_documents_is_one() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^    )make ([a-z0-9-]+)", page.read_text(), re.M)
    }
    assert "demo" in named
    assert named <= targets


def test_the_figures_are_those_that_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says how to write them anew: python -m benchmarks.figures."""
    copy = tmp_path / "page.md"
    copy.write_text(figures.PAGE.read_text())
    shown = copy.read_text()
    monkeypatch.setattr(figures, "PAGE", copy)
    figures.write_figures()
    assert copy.read_text() == shown
