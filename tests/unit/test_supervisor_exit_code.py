"""A container ends with its program's exit code, and its worker reports it: failure rules are about that."""

import sys
from pathlib import Path

import pytest

from edgetrain.group.members import Pod
from edgetrain.group.status import Status
from edgetrain.supervisor.fact_recorder import FactRecorder
from edgetrain.supervisor.metrics import Metrics
from edgetrain.supervisor.supervisor import container_code
from edgetrain.supervisor.training import is_news, training_part
from tests.support.group import LocalGroup


@pytest.mark.parametrize(
    ("of_program", "of_container"),
    [(1, 1), (42, 42), (137, 1), (143, 1), (255, 1), (74, 1)],
    ids=["an exception", "its own", "SIGKILL", "SIGTERM", "a power cut", "a lost disk"],
)
def test_the_container_has_its_programs_code_but_never_that_of_one_killed(
    of_program: int, of_container: int
) -> None:
    assert container_code(of_program) == of_container


@pytest.mark.parametrize(("of_program", "of_container"), [(42, 42), (137, 1)])
def test_the_container_ends_with_it(of_program: int, of_container: int, tmp_path: Path) -> None:
    def command(_: object) -> list[str]:
        return [sys.executable, "-c", f"raise SystemExit({of_program})"]

    group = LocalGroup(tmp_path, command, 1)
    try:
        group.start()
        started = group.workers[0].process
        assert started is not None
        assert started.wait(30) == of_container, group.tail()
    finally:
        group.close()


def test_an_exit_code_is_told_at_once() -> None:
    recorder = FactRecorder(Metrics(), lambda _: None)
    before = training_part(Status(Pod("w-a", "pod-w-a")), recorder.facts, None, None, {}, 10.0)
    recorder.facts.exit_code = 42
    after = training_part(Status(Pod("w-a", "pod-w-a")), recorder.facts, None, None, {}, 10.0)
    assert (before.exit_code, after.exit_code) == (None, 42)
    assert is_news(after, before)
