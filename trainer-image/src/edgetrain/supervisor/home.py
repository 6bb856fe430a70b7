"""HOME and USER for programs of images that know nothing of the user whom the pod runs as.

A runtime gives a user without an entry in /etc/passwd the root directory for a home, which nobody may write,
and no name: caches below the home fail then, and so does whoever asks for the name (getpass, as torch's
compiler does).
"""

import os
import pwd
import tempfile
from collections.abc import Mapping
from pathlib import Path

NAME = "nonroot"
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where Python looks for a user's name before /etc/passwd."""


def lacking(env: Mapping[str, str]) -> dict[str, str]:
    """Variables that a program needs and does not have. What image or job have set stays as it is, if only
    there is such a directory."""
    found = {}
    if not _is_home(env.get("HOME", "")):
        found["HOME"] = tempfile.gettempdir()
    if not any(env.get(name) for name in NAMES) and not _is_known():
        found["USER"] = NAME
    return found


def _is_home(path: str) -> bool:
    return bool(path) and Path(path).is_dir() and (path != "/" or os.access(path, os.W_OK))


def _is_known() -> bool:
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True
