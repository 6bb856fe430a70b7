"""Serves /metrics. Scrapes show no token: all who ask are strangers, few at a time and not for long."""

import socket
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from edgetrain.acceptor import Acceptor, Prove


def serve_metrics(registry: CollectorRegistry, port: int, host: str = "") -> Acceptor:
    """From now on, in threads of its own; on all addresses where no `host` is given.

    Raises:
        OSError: the port is taken.
    """
    # It never listens: prometheus_client's own server makes a thread for whoever connects, without end.
    http = WSGIServer((host, port), _Handler, bind_and_activate=False)
    http.socket.close()
    http.server_name, http.server_port = host, port
    http.setup_environ()
    http.set_app(make_wsgi_app(registry))

    def answer(connection: socket.socket, _: Prove) -> None:
        http.finish_request(connection, connection.getpeername())

    return Acceptor(answer, name="metrics", host=host, port=port)


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Scrapes are no news."""
