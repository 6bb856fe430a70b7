"""Serves a holder to the other pods of the job: HTTP over TLS, a thread for each connection (`paths`)."""

import logging
import re
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import numpy as np

from edgetrain.acceptor import Acceptor, Prove
from edgetrain.aggregator import paths
from edgetrain.aggregator.client import HolderAway, HolderRefuses
from edgetrain.aggregator.documents import BadDocument, decode, encode
from edgetrain.aggregator.following import Following
from edgetrain.aggregator.holder import Holder, NotLeading
from edgetrain.aggregator.journal import BadJournal
from edgetrain.aggregator.model import Founding
from edgetrain.aggregator.seat import OtherLayout
from edgetrain.aggregator.staging import Incoming, NotTaken
from edgetrain.aggregator.vectors import BadVector, digest_of
from edgetrain.credentials import Credentials
from edgetrain.payload.codec import Floats
from edgetrain.rounds.entries import Contribution
from edgetrain_protocol.history import History, history_from

log = logging.getLogger(__name__)

MOST_CALLERS = 256
SILENT_SECONDS = 20.0
"""For so long a connection may carry nothing: less than a worker's patience with an answer."""
MOST_DOCUMENT_BYTES = 16 << 20
MOST_NUMBERS = 1 << 31
"""Of a model: room for it is taken once it is announced."""
_PIECE = 1 << 18
_RANGE = re.compile(r"bytes=(\d+)-$")
T = TypeVar("T")


def serve(
    following: Following, holder: Holder, credentials: Credentials, port: int = 0, host: str = ""
) -> Acceptor:
    """From now on, in threads of its own.

    Raises:
        OSError: the port is taken.
    """

    def answer(connection: socket.socket, prove: Prove) -> None:
        connection.settimeout(SILENT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with credentials.admit(connection) as secured:
            prove()
            Handler(secured, holder, following, credentials.peer_of(secured).worker)

    return Acceptor(answer, name="aggregator", most=MOST_CALLERS, host=host, port=port)


class Refused(Exception):
    """What is asked cannot be had. The text is for whoever asks."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """Answers what comes over one connection, until it ends."""

    protocol_version = "HTTP/1.1"
    # A body of a few bytes goes out with its headers.
    wbufsize = -1

    def __init__(self, connection: socket.socket, holder: Holder, following: Following, worker: str) -> None:
        """`worker`: who is at the other end."""
        self._holder, self._following, self._worker = holder, following, worker
        self._routes: dict[tuple[str, str], Callable[[], None]] = {
            ("GET", paths.LOG): self._log,
            ("POST", paths.MODEL): self._found,
            ("GET", paths.MODEL): self._model,
            ("POST", paths.GROUPS): self._join,
            ("POST", paths.COUNCIL): self._council,
            ("GET", paths.UPDATES): self._come,
            ("PUT", paths.UPDATES): self._update,
        }
        super().__init__(connection, connection.getpeername(), None)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Requests are no news."""

    # --- requests

    def _log(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        try:
            known = int(asked["known"][0])
            history = history_from(decode(asked["group"][0], tuple[int, str, int]))
        except (LookupError, ValueError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"which entries, for which group? {error}") from error
        self._needs_speaker(history)
        with self._holder.hearing.request(history):
            found = self._holder.page(known, paths.POLL_SECONDS)
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, paths.NO_MODEL)
        self._say(encode(paths.LogAnswer(*found)))

    def _found(self) -> None:
        if not any(self._worker in speakers for speakers in self._following.charge.groups.values()):
            raise Refused(HTTPStatus.FORBIDDEN, f"{self._worker} speaks for no group")
        founding = self._document(Founding)
        numbers = founding.layout.numbers
        if not 0 < numbers <= MOST_NUMBERS or self._length() != 4 * numbers:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{self._length()} bytes are not {numbers} numbers")
        vector: Floats = np.empty(numbers, np.float32)
        self._fill(vector.view(np.uint8).data, lambda _: None)
        if digest_of(vector) != founding.digest:
            raise Refused(HTTPStatus.BAD_REQUEST, "the model's bytes are not those that its digest names")
        self._holder.found(founding, vector)
        self._say(b"")

    def _model(self) -> None:
        if (shown := self._holder.shown) is None:
            raise Refused(HTTPStatus.NOT_FOUND, paths.NO_MODEL)
        model = shown.model
        vectors = model.vectors if urlsplit(self.path).query == paths.ALL else [model.vector]
        document = encode(model.whole).decode()
        self._begin(HTTPStatus.OK, sum(vector.nbytes for vector in vectors), {paths.DOCUMENT: document})
        for vector in vectors:
            self._send(vector.view(np.uint8).data)

    def _join(self) -> None:
        joining = decode(self._body(), paths.Joining)
        self._needs_speaker(joining.history)
        with self._holder.hearing.request(joining.history):
            self._holder.join(joining.history, joining.want)
        self._say(b"")

    def _council(self) -> None:
        said = decode(self._body(), paths.Said)
        if not self._following.charge.is_holder(self._worker, said.holder):
            raise Refused(HTTPStatus.FORBIDDEN, f"{self._worker} does not hold the log as {said.holder}")
        if said.message is not None:
            self._following.supply.fetch_for(said.message, said.holder)
        self._say(encode(self._holder.hear(said.holder, said.message)))

    def _come(self) -> None:
        incoming = self._incoming()
        # Who asks pushes from there on: what is still on its way in an older connection must not come before.
        with incoming.filled_by(self.connection):
            come = incoming.bytes if incoming.accepted else incoming.come
        self._say(b"", come=come)

    def _update(self) -> None:
        incoming = self._incoming()
        with self._holder.hearing.request(incoming.update.key.history), incoming.filled_by(self.connection):
            self._receive(incoming)
        self._say(b"", come=incoming.bytes)

    def _incoming(self) -> Incoming:
        update = self._document(Contribution)
        self._needs_speaker(update.key.history)
        if why := self._holder.refusal(update.key):
            raise Refused(HTTPStatus.GONE, why)
        return self._holder.staging.receive(update, self._holder.layout.packing(update.payload))

    def _needs_speaker(self, history: History) -> None:
        if not self._following.charge.speaks(self._worker, history.group):
            raise Refused(HTTPStatus.FORBIDDEN, f"{self._worker} does not speak for group {history.group}")

    def _receive(self, incoming: Incoming) -> None:
        """What is not here yet."""
        begin, length = self._number(paths.BEGIN), self._length()
        if incoming.accepted:
            self.close_connection = True  # What comes in the body is here, and is not read.
        elif (begin, length) != (incoming.come, incoming.bytes - incoming.come):
            raise Refused(HTTPStatus.CONFLICT, f"{incoming.come} of {incoming.bytes} bytes are here")
        else:
            self._fill(incoming.room, incoming.fill)
            self._holder.arrived(incoming)

    def _vector(self) -> None:
        digest = urlsplit(self.path).path.removeprefix(paths.VECTORS)
        if (path := self._holder.vector_path(digest)) is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"vector {digest[:12]} is not here, or not any more")
        wanted = _RANGE.match(self.headers.get("Range", "bytes=0-"))
        with path.open("rb") as file:
            size, begin = path.stat().st_size, int(wanted[1]) if wanted else 0
            file.seek(min(begin, size))
            status = HTTPStatus.PARTIAL_CONTENT if begin else HTTPStatus.OK
            self._begin(status, size - file.tell(), {})
            while piece := file.read(_PIECE):
                self.wfile.write(piece)

    # --- how they are answered

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        is_vector = self.command == "GET" and path.startswith(paths.VECTORS)
        route = self._vector if is_vector else self._routes.get((self.command, path), self._unknown)
        try:
            route()
        except Refused as refused:
            self._refuse(refused.status, str(refused))
        except (BadDocument, NotTaken) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except OtherLayout as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except (BadJournal, BadVector) as error:
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        except (NotLeading, HolderAway, HolderRefuses, TimeoutError, KeyError) as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _unknown(self) -> None:
        raise Refused(HTTPStatus.NOT_FOUND, f"nobody answers {self.command} {self.path[:80]}")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        # What is left of its body nobody reads.
        self.close_connection = True
        self._say(why.encode(), status)

    def _say(self, body: bytes, status: HTTPStatus = HTTPStatus.OK, come: int | None = None) -> None:
        self._begin(status, len(body), {} if come is None else {paths.COME: str(come)})
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _document(self, kind: type[T]) -> T:
        return decode(self.headers.get(paths.DOCUMENT, ""), kind)

    def _length(self) -> int:
        return self._number("Content-Length")

    def _number(self, header: str) -> int:
        text = self.headers.get(header, "0")
        if not text.isdecimal():
            raise Refused(HTTPStatus.BAD_REQUEST, f"{header} is no number: {text[:40]!r}")
        return int(text)

    def _body(self) -> bytes:
        if self._length() > MOST_DOCUMENT_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "nobody of ours sends so long a document")
        return self.rfile.read(self._length())

    def _fill(self, room: memoryview, filled: Callable[[int], Any]) -> None:
        """With the body. Raises ConnectionError: it ends before."""
        while room:
            count = self.rfile.readinto(room[:_PIECE])
            if not count:
                raise ConnectionError("the body ended before it was whole")
            filled(count)
            room = room[count:]

    def _send(self, data: memoryview) -> None:
        for start in range(0, len(data), _PIECE):
            self.wfile.write(data[start : start + _PIECE])
