"""How two ends of a connection prove to each other that they hold the job's token, which never goes over the
wire.

    server -> nonce                     client -> nonce + proof
    server -> proof

Whoever dials proves first: a server that began would prove itself to anybody, who could pass that on as its
own. What is it for, the side and both nonces are in a proof: none can be used twice, or for anything else.
"""

import hashlib
import hmac
import secrets
from typing import Literal

NONCE = 32
DIGEST = 32
Side = Literal["client", "server"]
Purpose = Literal["probe", "state"]


def challenge() -> bytes:
    """A nonce."""
    return secrets.token_bytes(NONCE)


def proof(token: str, purpose: Purpose, side: Side, server_nonce: bytes, client_nonce: bytes) -> bytes:
    text = f"edgetrain {purpose} {side}\0".encode() + server_nonce + client_nonce
    return hmac.new(token.encode(), text, hashlib.sha256).digest()


def proves(
    given: bytes, token: str, purpose: Purpose, side: Side, server_nonce: bytes, client_nonce: bytes
) -> bool:
    """Whether whoever gave this proof holds the token. An empty token proves nothing."""
    return bool(token) and hmac.compare_digest(proof(token, purpose, side, server_nonce, client_nonce), given)
