"""What a worker pod knows of the operator: its plan comes from here, its reports go there.

Free of torch and of threads: the supervisor and the profiler each own clients, one per thread. The
connection is kept, since a new one costs the operator three times the processor of a kept one.
"""

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from edgetrain.fleet_settings import FleetSettings
from edgetrain.mounted import MountedFile
from edgetrain_protocol.identity import TOKEN
from edgetrain_protocol.names import FLEET_SERVER_NAME
from edgetrain_protocol.report import Report, ReportAnswer
from edgetrain_protocol.signed_plan import SIGNATURE_HEADER, SignedPlan

Answered = TypeVar("Answered")

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
POLL_SLACK_SECONDS = 5.0
"""An answer to a poll is due after its `wait`; this much later the connection counts as lost."""


class FleetError(Exception):
    """The fleet API did not do what it was asked to."""


class Gone(FleetError):
    """410: this pod is over; its worker ends."""


class Unauthorized(FleetError):
    """Token or certificate is wrong, also after both files were read again."""


class Unavailable(FleetError):
    """Nobody answers, or nobody leads: try again after `retry_after` seconds."""

    def __init__(self, text: str, retry_after: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Refused(FleetError):
    """422: a report is nonsense. Reports before `index` of those sent were taken; drop that one and go on."""

    def __init__(self, text: str, index: int = 0) -> None:
        super().__init__(text)
        self.index = index


class FleetConnection(http.client.HTTPSConnection):
    """Verifies the one name in the fleet API's certificate, whatever address it dials."""

    def __init__(self, address: str, context: ssl.SSLContext) -> None:
        target = urlsplit(f"//{address}")
        super().__init__(target.hostname or "", target.port, timeout=CONNECT_SECONDS, context=context)
        self._tls = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        # A report written into a dead link must not wait for the kernel's quarter of an hour.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(ANSWER_SECONDS * 1000))
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=FLEET_SERVER_NAME)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def refusal(self) -> tuple[str, int]:
        """The server's own words, and which report they are about."""
        try:
            document = json.loads(self.body)
            return str(document["detail"]), int(document.get("report", 0))
        except (ValueError, KeyError, TypeError):
            return self.body.decode(errors="replace")[:500] or f"status {self.status}", 0

    @property
    def retry_after(self) -> float:
        try:
            return float(self.headers.get("Retry-After", "1"))
        except ValueError:
            return 1.0


class FleetClient:
    """One kept connection to the fleet API. For one thread; only `close` may be called from another."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._token_file, self._ca_file = (
            MountedFile(settings.identity / TOKEN),
            MountedFile(settings.ca_file),
        )
        self._connection: FleetConnection | None = None
        self._token: str | None = None
        self._context: ssl.SSLContext | None = None
        self._closed = False
        job = f"/v1/jobs/{quote(settings.job_uid, safe='')}"
        self._reports_path, self._plan_path = f"{job}/reports", f"{job}/plan"

    def poll_plan(self, lineage: int, revision: int, wait: float = 20.0) -> SignedPlan | None:
        """Wait up to `wait` seconds for a plan newer than (lineage, revision); None if there is none.

        Raises:
            Gone, Unauthorized, Unavailable: see there.
        """
        held = {"lineage": lineage, "revision": revision}
        path = f"{self._plan_path}?{urlencode(held)}&wait={wait:g}"
        answer = self._ask("GET", path, None, wait + POLL_SLACK_SECONDS)
        if answer.status == http.HTTPStatus.NO_CONTENT:
            return None
        signature = answer.headers.get(SIGNATURE_HEADER, "")
        return _read("plan", lambda body: SignedPlan(text=body.decode(), signature=signature), answer)

    def send(self, reports: Sequence[Report]) -> ReportAnswer:
        """Hand over reports, oldest first. Sending one again that was taken before does no harm.

        Raises:
            Refused: the report at `index` is nonsense; those before it were taken.
            Gone, Unauthorized, Unavailable: see there.
        """
        # pydantic writes a diverged loss as null; json.dumps would write NaN, which is refused.
        texts = [report.model_dump_json(by_alias=True, exclude_none=True) for report in reports]
        body = (texts[0] if len(texts) == 1 else f'{{"reports": [{",".join(texts)}]}}').encode()
        answer = self._ask("POST", self._reports_path, body, ANSWER_SECONDS)
        return _read("answer to a report", ReportAnswer.from_wire, answer)

    def close(self) -> None:
        """Hang up for good, from any thread; a call that waits in its own ends with Unavailable."""
        self._closed = True
        if (connection := self._connection) and connection.sock:
            # Only wakes the reader: closing a socket that another thread reads frees its number for reuse.
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._hang_up()

    def _ask(self, method: str, path: str, body: bytes | None, patience: float) -> _Answer:
        try:
            answer = self._authorised(method, path, body, patience)
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            what = str(error) or type(error).__name__
            raise Unavailable(f"no answer from {self._settings.address}: {what}") from error
        if answer.status in (http.HTTPStatus.OK, http.HTTPStatus.NO_CONTENT):
            return answer
        text, index = answer.refusal
        if answer.status == http.HTTPStatus.GONE:
            raise Gone(text)
        if answer.status >= 500 or answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
            raise Unavailable(text, answer.retry_after)
        raise Refused(text, index)

    def _authorised(self, method: str, path: str, body: bytes | None, patience: float) -> _Answer:
        """Token and CA are mounted volumes that change under us: only a second refusal is final."""
        refusal = ""
        for _ in range(2):
            try:
                answer = self._kept(method, path, body, patience)
            except ssl.SSLCertVerificationError as error:
                why = error.verify_message
                refusal = f"the certificate of {self._settings.address} is not from our CA: {why}"
            else:
                if answer.status != http.HTTPStatus.UNAUTHORIZED:
                    return answer
                refusal = answer.refusal[0]
            self._hang_up()
            self._token = self._context = None
        raise Unauthorized(refusal)

    def _kept(self, method: str, path: str, body: bytes | None, patience: float) -> _Answer:
        if self._connection is None:
            return self._once(method, path, body, patience)
        try:
            return self._once(method, path, body, patience)
        except (http.client.BadStatusLine, ConnectionError, ssl.SSLError):
            # The server may close a kept connection just as we write to it; all our requests can be repeated.
            self._hang_up()
            return self._once(method, path, body, patience)

    def _once(self, method: str, path: str, body: bytes | None, patience: float) -> _Answer:
        if self._closed:
            raise ConnectionAbortedError("this client was closed")
        token, connection = self._credentials()
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(patience)
        headers = {
            "Authorization": f"Bearer {token}",
            "X-Edgetrain-Pod-Uid": self._settings.pod_uid,
            "X-Edgetrain-Worker": self._settings.worker,
            "Content-Type": "application/json",
        }
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return _Answer(response.status, response.headers, response.read())

    def _credentials(self) -> tuple[str, FleetConnection]:
        if self._token is None:
            self._token = _read_file(self._token_file)
        if self._context is None:
            self._context = _verifying(self._ca_file)
        if self._connection is None:
            self._connection = FleetConnection(self._settings.address, self._context)
        return self._token, self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read(what: str, reader: Callable[[bytes], Answered], answer: _Answer) -> Answered:
    try:
        return reader(answer.body)
    except ValueError as error:
        raise Unavailable(f"the operator sent no {what} that can be read: {error}", 5.0) from error


def _read_file(file: MountedFile) -> str:
    try:
        return file.read()
    except OSError as error:
        raise Unauthorized(f"cannot read the pod's token: {error}; is its volume mounted?") from error


def _verifying(ca_file: MountedFile) -> ssl.SSLContext:
    try:
        bundle = ca_file.read()
        if not bundle:  # With nothing to trust, the library would trust whom the system trusts.
            raise ValueError("it is empty")
        context = ssl.create_default_context(cadata=bundle)
    except (OSError, ValueError, TypeError) as error:
        text = f"cannot read the CA bundle {ca_file.path}: {error}; is its volume mounted?"
        raise Unauthorized(text) from error
    # The bundle may hold an authority that another signed: it is trusted as it is.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
