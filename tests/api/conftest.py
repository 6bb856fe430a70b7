"""Tests on a real API server. One server serves them all; each test gets a namespace of its own."""

from collections.abc import Iterator

import pytest

from tests.support.apiserver import ApiServer, establish, running
from tests.support.objects import namespace_made


@pytest.fixture(scope="session")
def bare_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that knows nothing of ours."""
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def api(bare_api: ApiServer) -> ApiServer:
    """A server with our CRDs established."""
    return establish(bare_api)


@pytest.fixture
def namespace(api: ApiServer) -> Iterator[str]:
    name = namespace_made(api)
    yield name
    api.kubectl("delete", "namespace", name, "--wait=false")
