"""One order, carried out by a process of its own: what it loads for that is gone with it.

The order comes by standard input, and whoever closes that has the process end.
"""

import errno
import hashlib
import os
import shutil
import sys
import threading
import time
from dataclasses import astuple
from pathlib import Path

from edgetrain.profiler.counters import interface_of
from edgetrain.remote.checkpoints import RemoteCheckpoints
from edgetrain.remote.errors import KeysMissing, RemoteError
from edgetrain.remote.keys import Keys, read_keys
from edgetrain.remote.orders import (
    Done,
    Failed,
    FetchSource,
    GotOn,
    ListCheckpoints,
    Order,
    PushCheckpoint,
    PushFile,
    RestoreCheckpoint,
    Said,
    Waits,
    read_order,
    to_line,
)
from edgetrain.remote.pace import Pace
from edgetrain.remote.patience import Patience
from edgetrain.remote.source import Fetcher, Source
from edgetrain.remote.store import RemoteStore

TELL_SECONDS = 1.0
NICENESS = 10
"""What others wait for comes first, on a device with few cores."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Teller:
    """Says how far it is, not too often."""

    def __init__(self) -> None:
        self._bytes, self._told = 0, 0.0

    def gained(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            say(GotOn(self._bytes))


def say(message: Said) -> None:
    sys.stdout.buffer.write(to_line(message))
    sys.stdout.buffer.flush()


def main() -> None:
    os.nice(NICENESS)
    order = read_order(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        _carry_out(order)
    except RemoteError as error:
        say(Failed(error.reason, str(error)))
    except OSError as error:
        say(_of_disk(error))


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _carry_out(order: Order) -> None:
    match order:
        case FetchSource():
            _fetch(order)
        case PushFile(uri, keys, file):
            _push_file(RemoteStore(uri, _keys(keys)), uri, Path(file))
        case ListCheckpoints(directory=directory):
            _checkpoints(order).mirror(Path(directory))
        case RestoreCheckpoint(manifest=manifest):
            _checkpoints(order).restore(Path(manifest))
        case PushCheckpoint(manifest=manifest, address=address):
            _checkpoints(order).push(Path(manifest), _pace(address) if address else None)
    say(Done())


def _pace(address: str) -> Pace:
    interface = interface_of(address)
    return Pace(lambda: sum(astuple(interface.carried())))


def _fetch(order: FetchSource) -> None:
    source = Source(order.uri, order.sha256)
    with Fetcher(source, Path(order.root), _keys(order.keys), Teller().gained, _patience).fetched() as found:
        if order.beside:
            _copy(found.path, Path(order.beside))
        say(Done(str(found.path), str(found.lock)))
        # Until whoever asked has the lock as well.
        threading.Event().wait()


def _checkpoints(order: ListCheckpoints | RestoreCheckpoint | PushCheckpoint) -> RemoteCheckpoints:
    store = RemoteStore(order.uri, _keys(order.keys))
    return RemoteCheckpoints(store, order.uri, _patience(), Teller().gained)


def _push_file(store: RemoteStore, uri: str, file: Path) -> None:
    """Its hash last: it says that the file is whole."""
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    _patience().ask(lambda: store.put(uri, file))
    _patience().ask(lambda: store.write(f"{uri}.sha256", f"{sha256}  {file.name}\n".encode()))


def _patience() -> Patience:
    return Patience(tell=lambda error: say(Waits(error.reason, str(error))))


def _keys(directory: str) -> Keys:
    """Once they are there."""
    patience = _patience()
    while True:
        try:
            return read_keys(directory)
        except KeysMissing as error:
            patience.pause(error)


def _copy(source: Path, directory: Path) -> None:
    for old in directory.iterdir():
        if not old.name.startswith(".."):
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    shutil.copytree(source, directory, dirs_exist_ok=True, symlinks=True)


def _of_disk(error: OSError) -> Failed:
    text = f"{error.filename or 'the volume'}: {error.strerror or error}"
    if error.errno in _FULL:
        return Failed("VolumeFull", f"{text}: make room, or give a larger volume")
    if error.errno in _DENIED:
        return Failed("VolumeNotWritable", text)
    return Failed("VolumeFailed", text)
