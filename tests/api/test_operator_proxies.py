"""An operator whose environment names proxies."""

from pathlib import Path

from benchmarks.waiting import wait_for
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, items, job, make_node, program, set_ready
from tests.support.operator_process import operator_process

NOWHERE = "http://127.0.0.1:9"


def test_it_leads_watches_and_writes_without_them(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    """Nobody listens where they are said to be."""
    program(api, namespace, "main.py")
    make_node(api, "edge-a", ready=False)
    try:
        with operator_process(api, namespace, tmp_path, proxy=NOWHERE) as operator:
            wait_for(operator.leads)
            api.apply(job(namespace))
            set_ready(api, "edge-a")
            wait_for(lambda: items(api, "pods", namespace))
    finally:
        drop_nodes(api)
