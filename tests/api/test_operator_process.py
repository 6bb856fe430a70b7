"""The operator's process on a real API server: watches, queue, Lease, and the way to the first pods."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, set_ready, until
from tests.support.operator_process import operator_process


@pytest.fixture(autouse=True)
def _no_nodes(api: ApiServer) -> Iterator[None]:
    yield
    drop_nodes(api)


def test_pod_within_three_seconds_of_a_node_being_ready(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    with operator_process(api, namespace, tmp_path) as operator:
        until(operator.leads)
        make_node(api, "edge-a", ready=False)
        api.apply(job(namespace))
        until(lambda: get(api, "etj", "digits", namespace).get("status"))
        assert items(api, "pods", namespace) == []
        began = time.monotonic()
        set_ready(api, "edge-a")
        (pod,) = until(lambda: items(api, "pods", namespace))
        assert time.monotonic() - began < 3.0
        assert pod["metadata"]["annotations"]["edgetrain.io/node"] == "edge-a"
        owner = pod["metadata"]["ownerReferences"][0]
        assert (owner["name"], owner["controller"], owner["blockOwnerDeletion"]) == ("digits", True, False)
        assert operator.terminate() == 0
