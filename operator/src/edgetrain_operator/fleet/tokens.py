"""Tokens: `<key id>.<base64url HMAC-SHA256(key, "<job uid>:<worker>:<pod uid>:<key id>")>`, one for each pod.

A token is verified by making it again, so the operator never has to read users' Secrets. The key id
inside the HMAC keeps a token of one key from passing under another's name.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

OPERATOR = "operator"
"""Stands alone in the operator's own token; no uid of Kubernetes reads like it."""
KEY_BYTES = 32


@dataclass(frozen=True)
class TokenKey:
    id: str
    secret: bytes


def make_key() -> TokenKey:
    return TokenKey(secrets.token_hex(4), secrets.token_bytes(KEY_BYTES))


def make_token(key: TokenKey, *whose: str) -> str:
    """For a pod (its job's uid, its worker, its own uid), or for the operator. None of them holds a colon."""
    digest = hmac.new(key.secret, ":".join((*whose, key.id)).encode(), hashlib.sha256).digest()
    return f"{key.id}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def verify_token(keys: Sequence[TokenKey], token: str, *whose: str) -> bool:
    """Whether one of our keys made this token for them. Takes the same time wherever they differ."""
    key_id = token.partition(".")[0]
    key = next((key for key in keys if key.id == key_id), None)
    # What is shown comes from headers: with a colon in it, one name could be read as two.
    if key is None or any(":" in name for name in whose):
        return False
    return hmac.compare_digest(make_token(key, *whose).encode(), token.encode(errors="replace"))
