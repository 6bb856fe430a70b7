"""The trained model, written to its volume; on a full disk again and again, for somebody to make room."""

from collections.abc import Callable
from pathlib import Path

from edgetrain.durable_files import write_durably
from edgetrain.engine.errors import ModelNotSaved
from edgetrain.link import Mended, Message, Warned

MODEL_FILE = "model.safetensors"
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


def _not_written(path: Path, data: bytes) -> ModelNotSaved | None:
    """Write the model; returns what was wrong."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)
    except OSError as error:
        return ModelNotSaved(f"the model could not be written to {path}: {error}; see to spec.storage.model")
    return None
