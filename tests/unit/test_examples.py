"""The examples are what they say they are."""

import yaml

from edgelab.demo import example
from edgelab.demo.install import EXAMPLE
from edgetrain_protocol.job import JobSpec


def test_example_holds_the_program_as_it_is() -> None:
    assert EXAMPLE.read_text() == example.render(), "the program changed: run `make crds`"
    config_map, _ = yaml.safe_load_all(EXAMPLE.read_text())
    assert config_map["data"]["main.py"] == EXAMPLE.with_suffix(".py").read_text()


def test_job_names_the_program() -> None:
    config_map, job = yaml.safe_load_all(EXAMPLE.read_text())
    spec = JobSpec.model_validate(job["spec"])
    assert spec.program.source is not None and spec.program.source.config_map is not None
    assert spec.program.source.config_map.name == config_map["metadata"]["name"]
