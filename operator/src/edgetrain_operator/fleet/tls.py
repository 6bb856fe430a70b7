"""TLS on both sides of the fleet API: what is served, from memory, and what is trusted."""

import os
import ssl

from edgetrain_operator.fleet.ca import KeyPair
from edgetrain_protocol import tls_memory
from edgetrain_protocol.names import FLEET_SERVER_NAME


class BadCertificate(ValueError):
    """A certificate that the fleet API cannot use, or that a worker would refuse; the text says why."""


def server_context() -> ssl.SSLContext:
    """Without a certificate yet. All connections of this process have small buffers from now on."""
    tls_memory.keep_small()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verifying(bundle: str) -> ssl.SSLContext:
    """For who dials the fleet API, as workers do: every certificate of the bundle (PEM) is trusted as it is,
    whether it signs itself or another signed it, and nothing else is.

    Raises:
        ssl.SSLError: there is no certificate in it.
    """
    context = ssl.create_default_context(cadata=bundle)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Serve this certificate from the next handshake on; open connections go on.

    Raises:
        ssl.SSLError, ValueError: it is no certificate with its key. The context may be broken then: try what
            others made with `check` first.
    """
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
    server = server_context()
    try:
        load(server, pair)
        _shake_hands(server, verifying(authorities))
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
