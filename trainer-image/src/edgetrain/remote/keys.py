"""By what a store is opened: the files of a mounted Secret, by name."""

from collections.abc import Mapping
from pathlib import Path

from edgetrain.remote.errors import KeysMissing
from edgetrain_protocol.names import KEYS_DIR, Env

Keys = Mapping[str, str]

USERNAME, PASSWORD, TOKEN, AUTHORITIES = "username", "password", "token", "ca.crt"
"""For http and https; those of Kubernetes' own kinds of Secrets. The last one also for s3."""


def keys_of(purpose: str, env: Mapping[str, str]) -> str:
    """The directory of the Secret for a store, by what that is for; empty where the job names none."""
    named = purpose in env.get(Env.KEYS, "").split(",")
    return f"{env.get(Env.KEYS_DIR, KEYS_DIR)}/{purpose}" if named else ""


def read_keys(directory: str) -> Keys:
    """What is there now, in the directory of that name: a kubelet replaces the files when the Secret changes.

    Raises:
        KeysMissing: it was mounted where there was no such Secret, or one without keys.
    """
    if not directory:
        return {}
    place = Path(directory)
    files = place.iterdir() if place.is_dir() else iter(())
    found = {file.name: file.read_text().strip() for file in files if file.is_file()}
    if not found:
        raise KeysMissing(
            "the Secret that the job names for this store is not there, or has no keys: make it"
        )
    return found
