"""The example's manifest holds its program, and is valid; the page of conversions has what scripts are."""

from pathlib import Path

import yaml
from examples.conversions import PAGE, page
from examples.embed import embedded

from edgetrain_protocol.job import JobSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFEST = (EXAMPLES / "digits.yaml").read_text()
PROGRAM = (EXAMPLES / "digits.py").read_text()


def test_the_manifest_holds_the_program() -> None:
    config, job = yaml.safe_load_all(MANIFEST)
    assert config["data"]["main.py"] == PROGRAM, "run python examples/embed.py"
    assert embedded(MANIFEST, PROGRAM) == MANIFEST
    spec = JobSpec.model_validate(job["spec"])
    assert spec.program.source and spec.program.source.config_map
    assert spec.program.source.config_map.name == config["metadata"]["name"]


def test_the_page_of_conversions_has_the_scripts_as_they_are() -> None:
    assert PAGE.read_text() == page(), "run python examples/conversions.py"
