"""Archives, unpacked without leaving the directory that they are for."""

import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path

from edgetrain.remote.errors import BadSource

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ZIPS = (".zip",)
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError)


def is_archive(name: str) -> bool:
    return name.endswith(TARS + ZIPS)


def unpack(archive: Path, name: str, directory: Path) -> None:
    """Unpack; `name` says what kind it is. Owners and rights but those of the user are left out.

    Raises:
        BadSource: it is damaged, or holds what is not below it.
        OSError: the disk.
    """
    try:
        if name.endswith(ZIPS):
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(directory)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(directory, filter="data")
    except _DAMAGED as error:
        raise BadSource(f"{name} cannot be unpacked: {error}: make the archive anew") from error
