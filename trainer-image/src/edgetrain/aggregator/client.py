"""One connection to a holder (`aggregator.paths`). It is kept, and made anew where it broke."""

import http.client
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Generic, Self, TypeVar
from urllib.parse import quote

import numpy as np

from edgetrain.aggregator import paths
from edgetrain.aggregator.documents import decode, encode
from edgetrain.aggregator.model import Founding, Model, WholeVersion
from edgetrain.aggregator.vectors import digest_of
from edgetrain.credentials import Credentials
from edgetrain.link import HolderAddress
from edgetrain.payload.codec import Bytes, Floats
from edgetrain.rounds.council_messages import Message
from edgetrain.rounds.entries import Contribution
from edgetrain.rounds.leasing import Want
from edgetrain_protocol.history import History

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
"""More than the longest poll. A connection that carries nothing for so long is lost."""
_PIECE = 1 << 18
T = TypeVar("T")


class HolderAway(Exception):
    """It was not reached, or broke off. To be tried again."""


class HolderRefuses(Exception):
    """It was reached, and does not do what it is asked to. To be tried again only after something changed."""


class NoModel(HolderRefuses):
    """No group has founded one yet."""


@dataclass
class Request(Generic[T]):
    method: str
    path: str
    read: Callable[[http.client.HTTPResponse], T]
    """Makes the result of what is answered."""
    body: memoryview | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Arriving:
    """A vector that is being fetched, packed or not."""

    digest: str
    data: Bytes
    come: int = 0
    """Bytes that are here."""

    @classmethod
    def of(cls, digest: str, size: int) -> Self:
        """So many bytes."""
        return cls(digest, np.empty(size, np.uint8))

    def checked(self) -> Bytes:
        """Once it is whole. Raises HolderAway: it is another."""
        if digest_of(self.data) != self.digest:
            raise HolderAway(f"the bytes of vector {self.digest[:12]} are others")
        return self.data

    def fill(self, body: http.client.HTTPResponse, begin: int = 0) -> None:
        """With what the body has, from this byte on. Raises ConnectionError: it ends too early."""
        self.come, room = begin, self.data.data
        while self.come < len(room):
            count = body.readinto(room[self.come : self.come + _PIECE])
            if not count:
                raise ConnectionError(f"it ended after {self.come} of {len(room)} bytes")
            self.come += count


class HolderClient:
    """Of one thread."""

    def __init__(self, addresses: Callable[[], Sequence[HolderAddress]], credentials: Credentials) -> None:
        """`addresses`: of holders, as they are now; where one is away, or does not lead, the next is
        tried."""
        self._known, self._credentials = addresses, credentials
        self._given = tuple(addresses())
        self._addresses = deque(self._given)
        self._connection: http.client.HTTPConnection | None = None
        self._pushed: Contribution | None = None
        """Of this a part may be there, or all of it."""
        self._arriving: Arriving | None = None
        """Of this a part may be here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- what it is asked; each raises HolderAway and HolderRefuses

    def log(self, known: int, history: History) -> paths.LogAnswer:
        """What is committed behind the first `known` entries, once there is something. Raises NoModel."""
        path = f"{paths.LOG}?known={known}&group={quote(encode(history))}"
        return self._call(Request("GET", path, lambda answer: decode(answer.read(), paths.LogAnswer)))

    def found(self, founding: Founding, vector: Floats) -> None:
        """Begin the job with this model, unless another group was first with the same."""
        headers = {paths.DOCUMENT: encode(founding).decode()}
        self._call(Request("POST", paths.MODEL, _read_all, vector.view(np.uint8).data, headers))

    def model(self) -> Model:
        """The newest version. Raises NoModel."""
        return self._call(Request("GET", paths.MODEL, _version))

    def whole_model(self) -> Model:
        """The same, with what its outer optimiser keeps: for a holder. Raises NoModel."""
        return self._call(Request("GET", f"{paths.MODEL}?{paths.ALL}", _whole))

    def join(self, history: History, want: Want) -> None:
        """Take part, or have data."""
        self._say_of_group(paths.Joining(history, want))

    def end(self, history: History) -> None:
        """Take part no more, with nothing unmerged of data of its own."""
        self._say_of_group(paths.Joining(history))

    def _say_of_group(self, joining: paths.Joining) -> None:
        self._call(Request("POST", paths.GROUPS, _read_all, memoryview(encode(joining))))

    def push(self, update: Contribution, vector: Bytes) -> None:
        """Once this returns a lead has it whole, for as long as its term lasts. What is there from before is
        not sent again."""
        data, headers = vector.data, {paths.DOCUMENT: encode(update).decode()}
        begin = (
            self._call(Request("GET", paths.UPDATES, _come, headers=headers)) if self._pushed == update else 0
        )
        if begin < len(data):
            self._pushed = update
            headers[paths.BEGIN] = str(begin)
            self._call(Request("PUT", paths.UPDATES, _come, data[begin:], headers))

    def fetch(self, digest: str, size: int) -> Bytes:
        """What a version adds, in so many bytes. Asked for again after a break, it goes on from there, also
        from another holder."""
        if self._arriving is None or self._arriving.digest != digest:
            self._arriving = Arriving.of(digest, size)
        arriving, begin = self._arriving, self._arriving.come
        # Where it is asked for twice, it begins there twice.
        read = partial(arriving.fill, begin=begin)
        headers = {"Range": f"bytes={begin}-"}
        self._call(Request("GET", f"{paths.VECTORS}{digest}", read, headers=headers))
        # Whole or bad, it is not gone on with.
        self._arriving = None
        return arriving.checked()

    def say(self, holder: str, message: Message | None) -> list[Message]:
        """This holder's word to another. Returns what it is answered."""
        body = encode(paths.Said(holder, message))
        return self._call(Request("POST", paths.COUNCIL, _answers, memoryview(body)))

    # --- within

    def _call(self, request: "Request[T]") -> T:
        try:
            return self._kept(request)
        except (OSError, http.client.HTTPException, ValueError) as error:
            asked = self._addresses[0]
            self._try_next()
            raise HolderAway(f"the holder of {asked.worker} at {asked.host}: {error!r}") from error
        except HolderAway:
            self._try_next()
            raise
        except HolderRefuses:
            self.close()
            raise

    def _kept(self, request: "Request[T]") -> T:
        if self._connection is None:
            return self._once(request)
        try:
            return self._once(request)
        except (http.client.BadStatusLine, ConnectionError, ssl.SSLError):
            # A holder hangs up on a connection that was silent for long, maybe just now.
            self.close()
            return self._once(request)

    def _once(self, request: "Request[T]") -> T:
        connection = self._connected()
        connection.request(request.method, request.path, request.body, request.headers)
        answer = connection.getresponse()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(answer.status, answer.read())
        result = request.read(answer)
        answer.read()
        if answer.will_close:
            self.close()
        return result

    def _try_next(self) -> None:
        self.close()
        self._addresses.rotate(-1)
        if (now := tuple(self._known())) != self._given:
            self._given, self._addresses = now, deque(now)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            worker, host, port = self._addresses[0]
            plain = socket.create_connection((host, port), CONNECT_SECONDS)
            with plain:
                plain.settimeout(ANSWER_SECONDS)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                secured = self._credentials.dial(plain, worker)
            self._connection = http.client.HTTPConnection(host, port)
            self._connection.sock = secured
        return self._connection


def _answers(answer: http.client.HTTPResponse) -> list[Message]:
    return decode(answer.read(), list[Message])


def _read_all(answer: http.client.HTTPResponse) -> None:
    answer.read()


def _come(answer: http.client.HTTPResponse) -> int:
    return int(answer.headers[paths.COME])


def _version(answer: http.client.HTTPResponse) -> Model:
    whole = decode(answer.headers.get(paths.DOCUMENT, ""), WholeVersion)
    return Model(whole.founding, whole.version, _arrived(answer, whole.digest, whole.founding.layout.numbers))


def _whole(answer: http.client.HTTPResponse) -> Model:
    whole = decode(answer.headers.get(paths.DOCUMENT, ""), WholeVersion)
    return Model.of(whole, partial(_arrived, answer))


def _arrived(answer: http.client.HTTPResponse, digest: str, numbers: int) -> Floats:
    arriving = Arriving.of(digest, 4 * numbers)
    arriving.fill(answer)
    return arriving.checked().view(np.float32)


def _refusal(status: int, body: bytes) -> Exception:
    text = body.decode(errors="replace")[:500] or f"status {status}"
    if status == HTTPStatus.NOT_FOUND and text == paths.NO_MODEL:
        return NoModel(text)
    again = status == HTTPStatus.CONFLICT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return HolderAway(text) if again else HolderRefuses(text)
