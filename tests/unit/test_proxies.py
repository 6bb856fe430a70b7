"""Proxies of the environment: for the world outside, never for what our own programs say to one another."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from edgetrain.fleet_client import FleetClient
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.kube.client import Credentials, Kube
from edgetrain_operator.kube.resources import NODES
from edgetrain_operator.runtime import watch
from edgetrain_operator.runtime.remote_write import RemoteWriter
from tests.support.fleet import JOB, Lease, report, serving, settings_for
from tests.support.http_server import answering
from tests.support.remote_store import storing

NOWHERE = "http://127.0.0.1:9"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever uses one is answered by nobody."""
    for name in (*VARIABLES, *map(str.lower, VARIABLES)):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def api_server() -> Iterator[str]:
    """Its address; it knows of one node."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"kind": "Node", "metadata": {"name": "edge-a"}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with answering(Handler) as port:
        yield f"http://127.0.0.1:{port}"


def kubeconfig(directory: Path, **cluster: str) -> Credentials:
    named = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [named],
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": {}}],
    }
    (directory / "kubeconfig").write_text(json.dumps(document))
    return Credentials(str(directory / "kubeconfig"))


def node(credentials: Credentials) -> str:
    async def read() -> str:
        kube = await Kube.connect(credentials)
        try:
            return str((await kube.get(NODES, "edge-a"))["metadata"]["name"])
        finally:
            await kube.close()

    return asyncio.run(read())


def test_the_api_server_is_dialled_directly(tmp_path: Path) -> None:
    with api_server() as server:
        assert node(kubeconfig(tmp_path, server=server)) == "edge-a"
    assert not watch.settings().networking.trust_env


def test_a_proxy_that_a_kubeconfig_names_is_used(tmp_path: Path) -> None:
    with api_server() as proxy:
        credentials = kubeconfig(tmp_path, server="http://api.example.invalid", **{"proxy-url": proxy})
        assert node(credentials) == "edge-a"


def test_the_fleet_api_is_dialled_directly_by_workers_and_by_standbys(tmp_path: Path) -> None:
    keyring = renewed(None, datetime.now(UTC))
    with serving(keyring) as leader:
        lease = Lease(leading=False, address=f"127.0.0.1:{leader.port}")
        with (
            serving(keyring, lease) as standby,
            FleetClient(settings_for(standby, tmp_path)) as client,
        ):
            client.send([report(sequence=5)])
        assert leader.fleet.reports(JOB)["w-a"].head.sequence == 5


def test_what_is_outside_is_written_to_by_way_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(url: str) -> None:
        writer = RemoteWriter(url)
        try:
            await writer.write([])
        finally:
            await writer.close()

    with storing() as store:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{store.port}")
        asyncio.run(write("http://prometheus.example.invalid/api/v1/write"))
        assert [headers["Host"] for headers in store.headers] == ["prometheus.example.invalid"]
