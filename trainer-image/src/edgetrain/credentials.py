"""Who this pod is to the other pods of its job, and TLS with them: each end shows the certificate that the
operator made for its pod.

The times in certificates are not looked at. Edge nodes start with clocks that are years late, and a group
that nobody can reach trains on for as long as that lasts.
"""

import os
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from edgetrain.mounted import MountedFile
from edgetrain_protocol.identity import CERTIFICATE, ISSUER, KEY, Identity
from edgetrain_protocol.names import CA_FILE, IDENTITY_DIR, Env

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module does not name."""
PRIORITIZE_CHACHA = 0x200000
"""SSL_OP_PRIORITIZE_CHACHA of OpenSSL, neither."""


class Stranger(ConnectionError):
    """The other end is no pod of our job, or not the one that it should be."""


class Credentials:
    """Certificate and authorities of this pod, from its volumes. For any thread."""

    def __init__(self, identity: Path, authorities: Path, job_uid: str) -> None:
        """
        Args:
            identity: the directory with certificate, key and issuer (`edgetrain_protocol.identity`).
            authorities: the file with those that the operator makes certificates with now, for later pods.
        """
        self.job_uid = job_uid
        self._directory = identity
        self._issuer, self._bundle = MountedFile(identity / ISSUER), MountedFile(authorities)
        self._lock = threading.Lock()
        self._held: tuple[str, ssl.SSLContext, ssl.SSLContext] | None = None
        """Authorities, and the contexts that were made with them."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Where the operator has them mounted; nothing is read yet."""
        identity = Path(env.get(Env.IDENTITY_DIR, IDENTITY_DIR))
        return cls(identity, Path(env.get(Env.CA_FILE, CA_FILE)), env.get(Env.JOB_UID, ""))

    @property
    def authorities(self) -> str:
        """Those that we trust (PEM): our own, and all that the operator hands round.

        Raises:
            OSError: our own cannot be read, and never could.
        """
        try:
            bundle = self._bundle.read()
        except OSError:
            bundle = ""
        return f"{self._issuer.read()}\n{bundle}"

    @property
    def server(self) -> ssl.SSLContext:
        """For the end that listens.

        Raises:
            OSError: our certificate cannot be read, or is none.
        """
        return self._contexts()[0]

    @property
    def client(self) -> ssl.SSLContext:
        """For the end that dials.

        Raises:
            OSError: our certificate cannot be read, or is none.
        """
        return self._contexts()[1]

    def peer_of(self, connection: ssl.SSLSocket | ssl.SSLObject) -> Identity:
        """Who is at the other end, whose certificate is from an authority of ours.

        Raises:
            Stranger: no pod of our job.
        """
        shown: Any = connection.getpeercert() or {}
        names = [text for kind, text in shown.get("subjectAltName", ()) if kind == "URI"]
        try:
            identity = Identity.from_uri(next(iter(names), ""))
        except ValueError as error:
            raise Stranger(f"the other end's certificate is no pod's: {error}") from error
        if identity.job_uid != self.job_uid:
            raise Stranger(f"the other end is a pod of job {identity.job_uid}, which is not ours")
        return identity

    def admit(self, connection: socket.socket) -> ssl.SSLSocket:
        """Shake hands with a pod of our job that has dialled; nothing is said to anybody else. `connection`
        stays open, and whoever shuts it down shuts this one down.

        Raises:
            OSError: the other end is none, hung up, or took longer than the connection's time-out.
        """
        return self._shake_hands(connection, self.server)

    def dial(self, connection: socket.socket, worker: str = "") -> ssl.SSLSocket:
        """Shake hands with a pod of our job that listens: with this worker's where it is given. As `admit`.

        Raises:
            OSError: as of `admit`.
        """
        return self._shake_hands(connection, self.client, worker)

    def _shake_hands(
        self, connection: socket.socket, context: ssl.SSLContext, worker: str = ""
    ) -> ssl.SSLSocket:
        listens = context.protocol is ssl.PROTOCOL_TLS_SERVER
        # TLS takes a socket's descriptor away from it, and others hold this one to end it in time.
        ours: socket.socket = connection.dup()
        try:
            ours = secured = context.wrap_socket(ours, server_side=listens)
            found = self.peer_of(secured).worker
            if worker and found != worker:
                raise Stranger(f"{worker}'s address is answered by {found}")
        except BaseException:
            ours.close()
            raise
        return secured

    def _contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """The operator hands round new authorities long before they sign; our certificate does not change."""
        with self._lock:
            try:
                trusted = self.authorities
                if self._held is None or self._held[0] != trusted:
                    self._held = trusted, self._made(trusted, server=True), self._made(trusted, server=False)
            except OSError as error:
                # A volume that was taken away under us takes nobody's place away.
                if self._held is None:
                    where = f"this pod's certificate in {self._directory}"
                    raise OSError(f"cannot load {where}: {error}; is its Secret mounted?") from error
            return self._held[1:]

    def _made(self, authorities: str, *, server: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
        context.load_cert_chain(self._directory / CERTIFICATE, self._directory / KEY)
        context.load_verify_locations(cadata=authorities)
        if server:
            # Nobody resumes a session here, and a ticket would be read as the first answer's.
            context.num_tickets = 0
            # Whoever asks for ChaCha20 first has no instructions for AES (edgetrain.ciphers).
            context.options |= PRIORITIZE_CHACHA
        return context
