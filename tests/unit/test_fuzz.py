"""Whatever comes over a network or lies on a disk is read, or refused by the error that is meant for it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.mutations import mutated
from tests.support.parsers import PARSERS, Parser

INPUTS = 300


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_nearly_right_is_read_or_refused(name: str) -> None:
    parser, chance = PARSERS[name], random.Random(7)
    for example in parser.examples:
        parser.read(example)
        for _ in range(INPUTS):
            read(parser, mutated(chance, example))


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=50)
@given(data=st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    read(PARSERS[name], data)


def read(parser: Parser, data: bytes) -> None:
    try:
        parser.read(data)
    except parser.errors:
        pass
    except Exception as error:
        raise AssertionError(f"{data[:300]!r}... ({len(data)} bytes)") from error
