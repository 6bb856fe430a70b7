"""A small client of the lab's API server, for the few calls that the lab itself makes.

Not the Kubernetes client package: the provisioner runs all the time, and this costs a tenth of the memory.
"""

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgelab.errors import LabError
from edgelab.pki import Pair

Json = dict[str, Any]
PORT = 6443
_TIMEOUT_SECONDS = 10.0
_WATCH_SECONDS = 300


class ApiError(LabError):
    """The API server refused. `status` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Api:
    """Calls on behalf of the user whose certificate this is."""

    host: str
    ca: Pair
    user: Pair

    def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call, its answer decoded; a patch is a merge patch.

        Raises:
            ApiError: refused.
            OSError: no answer.
        """
        text = self.text(method, path, None if body is None else json.dumps(body))
        return dict(json.loads(text))

    def text(self, method: str, path: str, body: str | None = None) -> str:
        """As `request`, the answer as it came."""
        connection = self._connect(_TIMEOUT_SECONDS)
        try:
            return self._send(connection, method, path, body).read().decode()
        finally:
            connection.close()

    def list_and_watch(self, path: str) -> Iterator[Json]:
        """Every object of a collection, then every one that appears or changes, until the watch ends."""
        listed = self.request("GET", path)
        yield from listed["items"]
        version = listed["metadata"]["resourceVersion"]
        connection = self._connect(_WATCH_SECONDS + _TIMEOUT_SECONDS)
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        try:
            answer = self._send(connection, "GET", path + query, None)
            for line in iter(answer.readline, b""):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] != "DELETED":
                    yield event["object"]
        finally:
            connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.ca.certificate))
        context.load_cert_chain(self.user.certificate, self.user.key)
        return http.client.HTTPSConnection(self.host, PORT, timeout=timeout, context=context)

    def _send(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: str | None
    ) -> http.client.HTTPResponse:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        connection.request(method, path, body=body, headers={"Content-Type": kind})
        answer = connection.getresponse()
        if answer.status >= 400:
            said = answer.read().decode(errors="replace")
            raise ApiError(answer.status, f"{method} {path}: {_message(said)}")
        return answer


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said.strip()
