"""Finding the programs, and getting those that are missing."""

import os
from collections.abc import Callable
from pathlib import Path

from edgelab.errors import LabError
from edgelab.programs.pinned import MODULES, Module

Programs = dict[str, Path]


def acquire(say: Callable[[str], None]) -> Programs:
    found: Programs = {}
    for module in MODULES:
        for name in module.programs:
            path = find(module, name)
            if path is None:
                raise LabError(f"{name} is missing")
            found[name] = path
    return found


def find(module: Module, name: str) -> Path | None:
    path = module.cache / name
    return path if path.is_file() and os.access(path, os.X_OK) else None
