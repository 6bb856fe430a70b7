"""Histories of a job that is one group, by their generation."""

from edgetrain_protocol.history import ALL, History


def of_generation(number: int) -> History:
    return History(1, ALL, number)


FIRST = of_generation(1)
