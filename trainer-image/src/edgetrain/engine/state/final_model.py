"""The trained model: written to its volume, on a full disk again and again, for somebody to make room; and
pushed to its remote store, within a time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgetrain.durable_files import write_durably
from edgetrain.engine.errors import ModelNotSaved
from edgetrain.engine.settings import RemotePlace
from edgetrain.link import Mended, Message, Transferring, Warned
from edgetrain.remote.orders import Done, GotOn, PushFile, Waits
from edgetrain.remote.process import NO_WORD, PUSH_SECONDS, RemoteProcess

LOOK_SECONDS = 0.5
MODEL_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, *[30.0] * 9)
"""Seconds between tries to write the model: five minutes in all, for somebody to make room."""


def keep_writing(
    path: Path, data: bytes, send: Callable[[Message], None], hold_on: Callable[[float], bool]
) -> None:
    """What is trained is kept in memory meanwhile; `hold_on` waits so many seconds, true: try again.

    Raises:
        ModelNotSaved: it could not be written in the end.
    """
    pauses = iter(MODEL_PAUSES)
    while failed := _not_written(path, data):
        send(Warned(failed.reason, str(failed)))
        pause = next(pauses, None)
        if pause is None or not hold_on(pause):
            raise failed
    send(Mended(ModelNotSaved.reason))


def push(
    file: Path,
    place: RemotePlace,
    send: Callable[[Message], None],
    hold_on: Callable[[float], bool],
    seconds: float = PUSH_SECONDS,
) -> str:
    """Have the store hold the file; `send` and `hold_on` as above, the first to say that it goes on.

    Returns:
        Why it does not; empty: it does.
    """
    pushing = _Pushing(file, place, seconds)
    due = time.monotonic() + seconds
    try:
        while pushing.thread.is_alive() and time.monotonic() < due:
            send(Transferring())
            if not hold_on(LOOK_SECONDS):
                pushing.thread.join(LOOK_SECONDS)
    finally:
        pushing.stop()
    return pushing.why


class _Pushing:
    def __init__(self, file: Path, place: RemotePlace, seconds: float) -> None:
        self._order = PushFile(place.uri, place.keys, str(file))
        self._process = RemoteProcess()
        self.why = f"it takes longer than {seconds:g} s"
        self.thread = threading.Thread(target=self._push, name="pusher", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self._process.stop()
        self.thread.join()

    def _push(self) -> None:
        said = self._process.carry_out(self._order, self._heard)
        if isinstance(said, Done):
            self.why = ""
        elif said is not NO_WORD:
            self.why = said.error

    def _heard(self, said: GotOn | Waits) -> None:
        if isinstance(said, Waits):
            self.why = said.error


def _not_written(path: Path, data: bytes) -> ModelNotSaved | None:
    """Write the model; returns what was wrong."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)
    except OSError as error:
        return ModelNotSaved(f"the model could not be written to {path}: {error}; see to spec.storage.model")
    return None
