"""What all unit tests run under."""

import gc

import pytest
from hypothesis import settings

# On a busy machine the first example of a test takes longer than all others.
settings.register_profile("edgetrain", deadline=None)
settings.load_profile("edgetrain")

# Modules and tests stay to the end. To look through a million objects of theirs for garbage while they are
# made takes a fourth of that time, and each collection that a test asks for would do so again. What tests
# make themselves is collected as ever.
gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
