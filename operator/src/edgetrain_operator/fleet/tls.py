"""TLS on both sides of the fleet API: what is served, from memory, and what is trusted."""

import os
import ssl

from edgetrain_operator.fleet.ca import KeyPair
from edgetrain_protocol import tls_memory
from edgetrain_protocol.names import FLEET_SERVER_NAME


class BadCertificate(ValueError):
    """A certificate that the fleet API cannot use, or that a worker would refuse; the text says why."""


class ServerTls:
    """What a server shows whoever dials it, from memory, changed while it serves.

    Each certificate has a context of its own, which a new connection is given as it says hello. One context
    for all would be changed in two steps, certificate and key, under the handshakes of other threads: some
    fail, and OpenSSL has crashed the process.
    """

    context: ssl.SSLContext
    """For an asyncio server, or any other."""

    def __init__(self, pair: KeyPair) -> None:
        """All connections of this process have small buffers from now on.

        Raises:
            ssl.SSLError, ValueError: it is no certificate with its key.
        """
        tls_memory.keep_small()
        self.show(pair)
        self.context = _server_context()
        self.context.sni_callback = self._turn

    def show(self, pair: KeyPair) -> None:
        """From the next handshake on; connections there are go on.

        Raises:
            ssl.SSLError, ValueError: it is no certificate with its key, and the one before is still shown.
        """
        context = _server_context()
        _load(context, pair)
        self._shown = context

    def _turn(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._shown


def verifying(bundle: str) -> ssl.SSLContext:
    """For who dials the fleet API, as workers do: every certificate of the bundle (PEM) is trusted as it is,
    whether it signs itself or another signed it, and nothing else is.

    Raises:
        ssl.SSLError: there is no certificate in it.
    """
    context = ssl.create_default_context(cadata=bundle)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    # The ssl module reads keys from files alone; this one is in memory, and the root may be read-only.
    with os.fdopen(os.memfd_create("serving.pem"), "w") as chain:
        chain.write(pair.certificate + pair.key)
        chain.flush()
        # Encrypted keys would be asked about on a terminal.
        context.load_cert_chain(f"/proc/self/fd/{chain.fileno()}", password=_no_password)


def check(pair: KeyPair, authorities: str) -> None:
    """Shake hands with it as a worker would that has these authorities as its bundle.

    Raises:
        BadCertificate: the handshake fails, with the reason that the worker would see.
    """
    try:
        _shake_hands(ServerTls(pair).context, verifying(authorities))
    except ssl.SSLCertVerificationError as error:
        raise BadCertificate(error.verify_message) from error
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(str(error)) from error


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    waiting = [
        client.wrap_bio(down, up, server_hostname=FLEET_SERVER_NAME),
        server.wrap_bio(up, down, server_side=True),
    ]
    while waiting:
        end = waiting.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(end)


def _no_password() -> str:
    raise ValueError("the key is encrypted: it must not be")
