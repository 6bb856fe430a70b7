"""Watches that tell nothing any more, on a real API server: the sweep finds what they have missed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from tests.support.apiserver import ApiServer
from tests.support.objects import get, items, job, make_node, nodes_and_program
from tests.support.operator_process import operator_process
from tests.support.watch_proxy import WatchProxy, proxied_watches


@pytest.fixture(autouse=True)
def _two_nodes(api: ApiServer, namespace: str) -> Iterator[None]:
    with nodes_and_program(api, namespace, "edge-a", "edge-b"):
        yield


@pytest.fixture
def proxy(api: ApiServer) -> Iterator[WatchProxy]:
    with proxied_watches(api) as proxy:
        yield proxy


def nodes_with_pods(api: ApiServer, namespace: str) -> list[str]:
    pods: list[dict[str, Any]] = items(api, "pods", namespace)
    return sorted(pod["metadata"]["annotations"]["edgetrain.io/node"] for pod in pods)


@pytest.mark.parametrize("expires", [False, True], ids=["half open", "too old"])
def test_what_no_watch_has_told_is_seen_to_all_the_same(
    api: ApiServer, namespace: str, tmp_path: Path, proxy: WatchProxy, expires: bool
) -> None:
    """A node and a job that go, and a node that comes, while the watches are silent."""
    way = proxy.kubeconfig(tmp_path)
    with operator_process(api, namespace, tmp_path, kubeconfig=way, RESYNC_SECONDS="3") as operator:
        api.apply(job(namespace))
        wait_for(lambda: nodes_with_pods(api, namespace) == ["edge-a", "edge-b"], 30, "both pods")
        proxy.silence()
        api.kubectl("delete", "node", "edge-b")
        api.kubectl("delete", "pod", "-n", namespace, "-l", "edgetrain.io/attempt=1", "--force")
        make_node(api, "edge-c")
        if expires:
            proxy.expire()
        wait_for(lambda: nodes_with_pods(api, namespace) == ["edge-a", "edge-c"], 30, "the pods to follow")
        wait_for(
            lambda: get(api, "etj", "digits", namespace)["status"]["workers"]["desired"] == 2, 20, "status"
        )
        proxy.silence()
        api.kubectl("delete", "etj", "digits", "-n", namespace)
        if expires:
            proxy.expire()
        wait_for(lambda: "edgetrain_operator_jobs 0.0" in operator.metrics(), 20, "the job to be forgotten")
