"""EDGETRAIN_E2E says where: lab (default), kind, k3d or given."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.clusters import CLUSTERS, Environment, Unusable

OF_A_FAILURE = (
    ("get", "nodes,pods", "-A", "-o", "wide"),
    ("get", "etj", "-A", "-o", "yaml"),
    ("get", "events", "-A", "--sort-by=.lastTimestamp"),
    ("-n", "edgetrain-system", "logs", "-l", "app.kubernetes.io/name=edgetrain-operator", "--tail=200"),
)


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """Of a cluster, as docs/install.md asks for it. After a failure it is looked at before it goes."""
    kind = os.environ.get("EDGETRAIN_E2E", "lab")
    if kind not in CLUSTERS:
        pytest.exit(f"EDGETRAIN_E2E is {kind!r}: it may be {', '.join(CLUSTERS)}", returncode=2)
    try:
        with CLUSTERS[kind]() as found:
            yield found
            if request.session.testsfailed:
                for question in OF_A_FAILURE:
                    subprocess.run(["kubectl", *question], env={**os.environ, **found}, timeout=60)
    except Unusable as why:
        pytest.exit(str(why), returncode=2)
