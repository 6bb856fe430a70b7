"""The Kubernetes API with plain dicts: the official client's transport and log-in, without its typed classes.

The typed classes would cost 100 MB and half the speed. Every request has a time-out: the client's own
default is five minutes.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio import config as untyped_config
from kubernetes.aio.client import ApiClient, Configuration

from edgetrain_operator.kube.errors import KubeError, NotFound, from_status
from edgetrain_operator.kube.resources import Resource

REQUEST_SECONDS = 15.0
CONNECT_SECONDS = 5.0
WRITE_SECONDS = 10
"""For the API server to answer a write: a webhook that hangs is then named by it, within our own time."""
FIELD_MANAGER = "edgetrain-operator"
PAGE = 500

config: Any = untyped_config

Object = dict[str, Any]
Observer = Callable[[str, str, str, float], None]
"""Told of each request: verb, plural, outcome (ok, or the error's class), seconds."""


@dataclass(frozen=True)
class Credentials:
    """How the API server is reached. Empty: the pod's own ServiceAccount, else the usual kubeconfig."""

    kubeconfig: str = ""


class Kube:
    """Thin access; errors are those of `kube.errors`. To be used from one event loop."""

    def __init__(self, api: Any, observer: Observer | None = None, seconds: float = REQUEST_SECONDS) -> None:
        self._api = api
        self._observer = observer or (lambda *_: None)
        self._timeout = aiohttp.ClientTimeout(total=seconds, connect=min(CONNECT_SECONDS, seconds))

    @classmethod
    async def connect(
        cls, credentials: Credentials, observer: Observer | None = None, seconds: float = REQUEST_SECONDS
    ) -> "Kube":
        """Raises:
        kubernetes.config.ConfigException: there is no way to log in; the text says what was missing.
        """
        # Never through a proxy that the environment names, which is for the world outside: the client's own
        # way sends what the watches dial directly to it. One that a kubeconfig names is used.
        configuration = Configuration(client_session_kwargs={"trust_env": False})
        if credentials.kubeconfig:
            await config.load_kube_config(credentials.kubeconfig, client_configuration=configuration)
        else:
            await _usual(configuration)
        return cls(ApiClient(configuration), observer, seconds)

    async def close(self) -> None:
        await self._api.close()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return await self._call("GET", resource, resource.path(namespace, name))

    async def find(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """Like `get`; None where there is none."""
        try:
            return await self.get(resource, name, namespace)
        except NotFound:
            return None

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str = ""
    ) -> AsyncIterator[Object]:
        """In pages, as of one moment (a quorum read, not the watch cache): deletions rest on it."""
        query = {"limit": str(PAGE), "labelSelector": label_selector}
        while True:
            page = await self._call("GET", resource, resource.path(namespace), query=query, verb="LIST")
            for item in page["items"]:
                yield item
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def create(self, resource: Resource, body: Object) -> Object:
        """Raises:
        AlreadyExists, Refused: see `kube.errors`.
        """
        namespace = body["metadata"].get("namespace")
        return await self._call("POST", resource, resource.path(namespace), body=body)

    async def replace(self, resource: Resource, body: Object) -> Object:
        """PUT; `metadata.resourceVersion` makes it a compare-and-swap.

        Raises:
            Conflict: somebody wrote in between.
        """
        meta = body["metadata"]
        return await self._call(
            "PUT", resource, resource.path(meta.get("namespace"), meta["name"]), body=body
        )

    async def delete(self, resource: Resource, name: str, namespace: str, uid: str) -> None:
        """Delete this very object, and what it owns in the background. One that is gone already is no error.

        Raises:
            Conflict: the name is another object's now.
        """
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            await self._call("DELETE", resource, resource.path(namespace, name), body=body)
        except NotFound:
            return

    async def apply(self, resource: Resource, body: Object, subresource: str = "") -> Object:
        """Server-side apply with force: our fields are ours."""
        meta = body["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"], subresource)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._call(
            "PATCH",
            resource,
            path,
            query=query,
            body=body,
            content_type="application/apply-patch+yaml",
            verb="APPLY",
        )

    async def patch(self, resource: Resource, body: Object, subresource: str = "") -> Object:
        """Merge patch; `metadata.resourceVersion` makes it a compare-and-swap.

        Raises:
            Conflict: somebody wrote in between.
        """
        meta = body["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"], subresource)
        return await self._call(
            "PATCH", resource, path, body=body, content_type="application/merge-patch+json"
        )

    async def _call(
        self,
        method: str,
        resource: Resource,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        verb: str = "",
    ) -> Object:
        outcome, began = "ok", time.monotonic()
        if method != "GET":
            query = {"timeout": f"{WRITE_SECONDS}s", **(query or {})}
        try:
            return await self._send(method, path, query, body, content_type)
        except KubeError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._observer(verb or method, resource.plural, outcome, time.monotonic() - began)

    async def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, content_type: str
    ) -> Object:
        what = f"{method} {path}"
        prepared = await self._api.param_serialize(
            method,
            path,
            query_params=[(k, v) for k, v in (query or {}).items() if v],
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = await self._api.call_api(*prepared, _request_timeout=self._timeout)
            data: bytes = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(f"{what}: {error!r}") from error
        if answer.status >= 400:
            raise from_status(answer.status, data, what, answer.headers.get("Retry-After"))
        parsed: Object = json.loads(data)
        return parsed


async def _usual(configuration: Configuration) -> None:
    try:
        config.load_incluster_config(configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)
