"""Volumes are tried before the first step: hours of training must not end at a directory of root's."""

import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from edgetrain.durable_files import write_through
from edgetrain.engine.errors import VolumeNotWritable

_MENDS = {
    errno.EACCES: "it is user {owner}'s and group {group}'s, and the program runs as user {user}: set "
    "template.spec.securityContext.runAsUser or .supplementalGroups to who may write there (fsGroup, for a "
    "claim), or let user {user} own it",
    errno.EROFS: "mount it writable",
    errno.ENOSPC: "make room on it",
    errno.EDQUOT: "raise its quota, or make room on it",
}


def try_volumes(volumes: Mapping[str, Path]) -> None:
    """Write, sync and remove a small file in each.

    Args:
        volumes: directories by the field of the job that says where they are. One that is not there yet
            is tried where it would be made.

    Raises:
        VolumeNotWritable: names the directory, the field, the error and the mend.
    """
    for field, directory in volumes.items():
        try:
            _try(_there(directory))
        except OSError as error:
            raise VolumeNotWritable(_text(field, directory, error)) from error


def _there(directory: Path) -> Path:
    """It, or where it would be made."""
    return next(place for place in (directory, *directory.absolute().parents) if place.exists())


def _try(directory: Path) -> None:
    probe = directory / f".try-{secrets.token_hex(4)}"
    try:
        write_through(probe, b"edgetrain")
    finally:
        probe.unlink(missing_ok=True)


def _text(field: str, directory: Path, error: OSError) -> str:
    number = errno.EACCES if error.errno == errno.EPERM else error.errno or 0
    mend = _MENDS.get(number, "see to it").format(user=os.getuid(), **_ownership(directory))
    name = errno.errorcode.get(error.errno or 0, "no errno")
    return f"{field}: {directory} cannot be written ({name}: {error.strerror}): {mend}"


def _ownership(directory: Path) -> dict[str, int | str]:
    try:
        found = _there(directory).stat()
    except OSError:  # One above it may not be entered.
        return {"owner": "another", "group": "another"}
    return {"owner": found.st_uid, "group": found.st_gid}
