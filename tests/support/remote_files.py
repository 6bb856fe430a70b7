"""A plain HTTP server of files, with range requests, that fails as it is told."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.support.http_server import answering


@dataclass
class Files:
    """`statuses`: what the next requests are answered; `cuts`: after how many bytes of its body each next GET
    breaks off. Both are used up."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    authorization: str = ""
    pause: threading.Event | None = None
    """GETs beyond the first megabyte wait for it."""
    sent: int = 0
    """Bytes of bodies."""
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path, range."""

    def answer(self, path: str, wanted: str, authorization: str) -> tuple[int, bytes]:
        """Status and body."""
        if self.statuses:
            return self.statuses.pop(0), b""
        if self.authorization and authorization != self.authorization:
            return 401, b""
        data = self.files.get(unquote(path).lstrip("/"))
        if data is None:
            return 404, b""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
        if not found:
            return 200, data
        start, end = int(found[1]), int(found[2]) + 1
        if self.pause and start:
            self.pause.wait(30)
        return 206, data[start:end]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


def _handler(files: Files) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            wanted = self.headers.get("Range", "") if files.ranges else ""
            files.seen.append((self.command, self.path, wanted))
            status, data = files.answer(self.path, wanted, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.send(data)

        def send(self, data: bytes) -> None:
            cut = files.cuts.pop(0) if files.cuts else None
            files.sent += len(data[:cut])
            try:
                self.wfile.write(data[:cut])
            except ConnectionError:  # It was killed.
                self.close_connection = True
            if cut is not None:
                self.wfile.flush()
                self.connection.shutdown(2)
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Files]:
    files = Files()
    with answering(_handler(files)) as files.port:
        yield files
