"""`edgetrain init`: a project that runs, here and in a cluster."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from edgetrain_local.errors import RunError
from edgetrain_local.wish import title_of


def write_project(directory: Path) -> Iterator[Path]:
    """Write its files, each of them named once it is there.

    Raises:
        RunError: one is there already, or the directory cannot be written.
    """
    template = sorted(files("edgetrain_local").joinpath("template").iterdir(), key=lambda file: file.name)
    present = [directory / file.name for file in template if (directory / file.name).exists()]
    if present:
        raise RunError(f"{present[0]} is there already: give a new directory")
    name = title_of(directory.resolve().name, "project")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in template:
            (directory / file.name).write_text(file.read_text().replace("PROJECT", name))
            yield directory / file.name
    except OSError as error:
        raise RunError(f"cannot write {directory}: {error}") from error
