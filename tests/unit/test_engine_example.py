"""The example's manifest holds its program, and is valid; the page of conversions has what scripts are."""

from pathlib import Path

import pytest
import yaml
from examples.conversions import PAGE, page
from examples.embed import MANIFESTS, embedded

from edgetrain_protocol.job import JobSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = (EXAMPLES / "digits.py").read_text()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_holds_the_program(path: Path) -> None:
    manifest = path.read_text()
    config, job = yaml.safe_load_all(manifest)
    assert config["data"]["main.py"] == PROGRAM, "run python examples/embed.py"
    assert embedded(manifest, PROGRAM) == manifest
    spec = JobSpec.model_validate(job["spec"])
    assert spec.program.source and spec.program.source.config_map
    assert spec.program.source.config_map.name == config["metadata"]["name"]


def test_the_page_of_conversions_has_the_scripts_as_they_are() -> None:
    assert PAGE.read_text() == page(), "run python examples/conversions.py"
