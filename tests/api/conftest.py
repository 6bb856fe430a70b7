"""Tests on a real API server. One server serves them all; each test gets a namespace of its own."""

import uuid
from collections.abc import Iterator

import pytest

from tests.support.apiserver import ApiServer, establish, running


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
    """A fresh namespace that enforces `restricted`, with the ServiceAccount that a controller would make."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}},
    )
    yield name
    api.kubectl("delete", "namespace", name, "--wait=false")
