"""What the operator must remember to be known again: its authorities and token keys, in one Secret."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.tokens import TokenKey, make_key

FIELD = "keyring.json"
"""The Secret's key that is read back: all of it in one, or none."""
CA_FIELD = "ca.crt"
"""Beside it, the authorities' certificates: who checks the fleet API can mount this key and no other."""


@dataclass(frozen=True)
class Keyring:
    authorities: tuple[ca.KeyPair, ...]
    """Newest first."""
    token_keys: tuple[TokenKey, ...]
    """The first makes new tokens; the others are still believed."""

    def to_secret(self) -> dict[str, str]:
        """The Secret's `data`."""
        document = {
            "authorities": [{"certificate": a.certificate, "key": a.key} for a in self.authorities],
            "tokenKeys": [{"id": k.id, "secret": k.secret.hex()} for k in self.token_keys],
        }
        return {FIELD: _encoded(json.dumps(document)), CA_FIELD: _encoded(ca.bundle(self.authorities))}

    @classmethod
    def from_secret(cls, data: Mapping[str, str]) -> Self:
        """Read a Secret's `data`.

        Raises:
            ValueError: it is not a keyring. It is not made anew: that would cut off every worker there is.
        """
        try:
            document = json.loads(base64.b64decode(data[FIELD]))
            return cls(
                tuple(ca.KeyPair(a["certificate"], a["key"]) for a in document["authorities"]),
                tuple(TokenKey(k["id"], bytes.fromhex(k["secret"])) for k in document["tokenKeys"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"the operator's Secret does not hold a keyring under {FIELD!r} ({error!r}): restore it, or "
                "delete it to have one made, after which all workers are started anew"
            ) from error


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class KeyringStore(Protocol):
    """Where the keyring is kept; one write of several at once wins."""

    async def load(self) -> Keyring | None:
        """What is kept, or None where nothing is yet."""
        ...

    async def save(self, keyring: Keyring) -> bool:
        """Write over what was last loaded; False where somebody else wrote since (load again)."""
        ...


def renewed(keyring: Keyring | None, now: datetime) -> Keyring:
    """The keyring that should be in force now; equal to the given one where nothing is due."""
    if keyring is None:
        return Keyring((ca.make_authority(now),), (make_key(),))
    return Keyring(ca.renewed(keyring.authorities, now), keyring.token_keys or (make_key(),))


async def ensure(store: KeyringStore, now: datetime) -> Keyring:
    """Load the keyring, made or renewed and saved where that is due. Several replicas end with the same one.

    Raises:
        RuntimeError: every write lost against another writer's.
    """
    for _ in range(5):
        held = await store.load()
        due = renewed(held, now)
        if due == held or await store.save(due):
            return due
    raise RuntimeError(
        "the operator's keyring keeps changing under us: is more than one release running here?"
    )
