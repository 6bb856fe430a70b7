"""Hashes that lie beside what they are of, as `sha256sum` writes them."""

import re
from pathlib import PurePosixPath

from edgetrain.remote.errors import BadSource
from edgetrain.remote.store import RemoteStore, shown

SUMS_FILE = "SHA256SUMS"
_MEND = f"write it by `sha256sum FILES > {SUMS_FILE}`"
MOST_BYTES = 64 << 20
_LINE = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *](.+))?")


def beside(store: RemoteStore, uri: str) -> str:
    """What URI.sha256 says.

    Raises:
        BadSource: it says nothing that is a hash.
        RemoteError: it cannot be had.
    """
    text = store.small(f"{uri}.sha256", 4096).decode(errors="replace").strip()
    found = _LINE.match(text)
    if not found:
        raise BadSource(
            f"{shown(uri)}.sha256 holds no sha256: write it by `sha256sum`, or give sha256 in the job"
        )
    return found[1].lower()


def listed(text: str, uri: str) -> dict[str, str]:
    """The files of a directory, by its list: path below it -> hash.

    Raises:
        BadSource: a line is none, or of a file that is not below the list.
    """
    files = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        path = PurePosixPath(found[2] or "") if found else None
        if found is None or path is None or not path.parts or path.is_absolute() or ".." in path.parts:
            raise BadSource(f"{uri}: line {number} names no file below it: {_MEND}")
        files[str(path)] = found[1].lower()
    if not files:
        raise BadSource(f"{uri} lists no files: {_MEND}")
    return files
