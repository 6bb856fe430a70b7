"""The one error that people see: what is wrong and how to mend it."""


class LabError(Exception):
    """A request that the lab cannot meet; its text is all that a person gets to read."""
