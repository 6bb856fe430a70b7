"""Examples have no deadline: on a busy machine the first one of a test takes longer than all others."""

from hypothesis import settings

settings.register_profile("edgetrain", deadline=None)
settings.load_profile("edgetrain")
