"""The directory that a holder keeps its log and its model in, for as long as it runs."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from edgetrain.directory_lock import locked


@contextlib.contextmanager
def log_directory(path: Path) -> Iterator[None]:
    """Made where it is not there yet. Beside it nothing is kept: other logs are of lineages that are over.

    Raises:
        OSError: it cannot be made; or another pod of this worker, whose deletion was forced, still writes.
    """
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        for other in path.parent.iterdir():
            # Whose process still runs goes when that has ended.
            with contextlib.suppress(OSError):
                if other != path:
                    _forget(other)
        yield


def _forget(directory: Path) -> None:
    with locked(directory):
        shutil.rmtree(directory)
