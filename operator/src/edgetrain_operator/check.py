"""`edgetrain-operator check`: whether an installed operator does its work, as `helm test` asks.

It dials as a worker does: the fleet's one name in a certificate of the bundle's, whatever the address.
"""

import http.client
import socket
import ssl
import time
from http import HTTPStatus
from pathlib import Path

from edgetrain_operator.fleet.tls import verifying
from edgetrain_protocol.names import FLEET_SERVER_NAME

PATIENCE_SECONDS = 60.0
"""A release just installed has a leader after some seconds."""
AGAIN_SECONDS = 1.0
ANSWER_SECONDS = 10.0


class NotWorking(Exception):
    """The text says what was asked, and what came instead of the answer."""


def wait_until_working(host: str, port: int, ca_file: Path, patience: float = PATIENCE_SECONDS) -> None:
    """Return once the fleet API answers over verified TLS and a replica leads.

    Raises:
        NotWorking: it did not within `patience` seconds.
    """
    give_up = time.monotonic() + patience
    while True:
        try:
            return look(host, port, ca_file)
        except NotWorking:
            if time.monotonic() > give_up:
                raise
        time.sleep(AGAIN_SECONDS)


def look(host: str, port: int, ca_file: Path) -> None:
    """Look once.

    Raises:
        NotWorking: nobody answers, the certificate is not to be trusted, or nobody leads.
    """
    try:
        context = verifying(ca_file.read_text())
        health = _status(host, port, context, "/healthz")
        # Standbys ask the leader, and it wants a token: 401 is its answer; 503 says that there is none.
        views = _status(host, port, context, "/v1/jobs")
    except (OSError, http.client.HTTPException) as error:
        raise NotWorking(f"the fleet API at {host}:{port}: {error}") from error
    if health != HTTPStatus.OK:
        raise NotWorking(f"the fleet API at {host}:{port} is not ready: /healthz answers {health}")
    if views != HTTPStatus.UNAUTHORIZED:
        raise NotWorking(f"no replica leads: /v1/jobs at {host}:{port} answers {views}, not 401")


def _status(host: str, port: int, context: ssl.SSLContext, path: str) -> int:
    with (
        socket.create_connection((host, port), ANSWER_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=FLEET_SERVER_NAME) as secure,
    ):
        connection = http.client.HTTPConnection(FLEET_SERVER_NAME)
        connection.sock = secure
        connection.request("GET", path)
        return connection.getresponse().status
