"""Running the system's own tools (ip, tc, nft, ctr) and reading what they print."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgelab.errors import LabError

Argument = str | Path


def run(argv: Sequence[Argument], *, stdin: str | None = None, timeout: float = 60.0) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        LabError: it failed, is missing, or took longer than `timeout` seconds; the text holds its own words.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]} is not installed: run `edgelab setup`") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{' '.join(words)}` did not end within {timeout:g} s") from late
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise LabError(f"`{' '.join(words)}` failed: {said}")
    return done.stdout


def succeeds(argv: Sequence[Argument]) -> bool:
    """Whether a program can be run and ends well; what it prints is of no interest."""
    try:
        run(argv)
    except LabError:
        return False
    return True
