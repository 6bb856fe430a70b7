"""Job tokens: `<key id>.<base64url HMAC-SHA256(key, "<job uid>:<key id>")>`.

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
"""Takes the place of a job's uid in the operator's own token; no uid of Kubernetes reads like it."""
KEY_BYTES = 32


@dataclass(frozen=True)
class TokenKey:
    id: str
    secret: bytes


def make_key() -> TokenKey:
    return TokenKey(secrets.token_hex(4), secrets.token_bytes(KEY_BYTES))


def make_token(key: TokenKey, job_uid: str) -> str:
    digest = hmac.new(key.secret, f"{job_uid}:{key.id}".encode(), hashlib.sha256).digest()
    return f"{key.id}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def verify_token(keys: Sequence[TokenKey], token: str, job_uid: str) -> bool:
    """Whether one of our keys made this token for this job. Takes the same time wherever they differ."""
    key_id = token.partition(".")[0]
    key = next((key for key in keys if key.id == key_id), None)
    if key is None:
        return False
    return hmac.compare_digest(make_token(key, job_uid).encode(), token.encode(errors="replace"))
