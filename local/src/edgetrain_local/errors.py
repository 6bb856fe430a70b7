"""The one error that people see: what is wrong and how to mend it."""


class RunError(Exception):
    """What was asked for cannot be done here; its text is all that a person gets to read."""
