"""EDGETRAIN_E2E says where: lab (default), kind, k3d or given."""

import os
from collections.abc import Iterator

import pytest

from tests.support.clusters import CLUSTERS, Environment, Unusable


@pytest.fixture(scope="session")
def environment() -> Iterator[Environment]:
    """Of a cluster, as docs/install.md asks for it."""
    kind = os.environ.get("EDGETRAIN_E2E", "lab")
    if kind not in CLUSTERS:
        pytest.exit(f"EDGETRAIN_E2E is {kind!r}: it may be {', '.join(CLUSTERS)}", returncode=2)
    try:
        with CLUSTERS[kind]() as found:
            yield found
    except Unusable as why:
        pytest.exit(str(why), returncode=2)
