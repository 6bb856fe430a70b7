"""What all explorations run under."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def without_garbage_collection() -> Iterator[None]:
    """States are kept to the end and hold no cycles: to look through them for garbage again and again takes a
    third of the time."""
    gc.disable()
    yield
    gc.enable()
