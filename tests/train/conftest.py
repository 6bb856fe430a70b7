"""A group, or a session, to a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetrain.session import Session
from tests.support.alone import alone
from tests.support.fake_group import ENDLESS, Start, pretending
from tests.support.group import LocalGroup
from tests.support.s3_server import S3, serving_s3


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts supervisors that have a plan; in the end their history has no fork."""
    groups: list[LocalGroup] = []

    def begin(size: int = 4, members: list[int] | None = None, steps: int = ENDLESS) -> LocalGroup:
        group = pretending(tmp_path, size, steps)
        groups.append(group)
        group.give(group.plan(members=members))
        group.start()
        return group

    yield begin
    for group in groups:
        group.close()
        group.check_history()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Of a program that runs alone."""
    return alone(tmp_path)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """It takes seconds to start."""
    with serving_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3) -> S3:
    """Empty."""
    s3_server.clear()
    return s3_server
