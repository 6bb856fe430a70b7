"""`edgetrain init`: a project that runs, here and in a cluster."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from edgetrain_local.errors import RunError


def write_project(directory: Path) -> Iterator[Path]:
    """Write its files, each of them named once it is there.

    Raises:
        RunError: one is there already, or the directory cannot be written.
    """
    template = sorted(files("edgetrain_local").joinpath("template").iterdir(), key=lambda file: file.name)
    present = [directory / file.name for file in template if (directory / file.name).exists()]
    if present:
        raise RunError(f"{present[0]} is there already: give a new directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in template:
            (directory / file.name).write_text(file.read_text().replace("PROJECT", _name(directory)))
            yield directory / file.name
    except OSError as error:
        raise RunError(f"cannot write {directory}: {error}") from error


def _name(directory: Path) -> str:
    """One that Kubernetes takes."""
    kept = (c if c.isascii() and c.isalnum() else "-" for c in directory.resolve().name.lower())
    return "".join(kept).strip("-") or "project"
