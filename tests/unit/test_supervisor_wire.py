"""What supervisors say to one another: whatever comes instead is refused as that, and nothing worse."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.supervisor.wire import KINDS, BadSpeech, Beat, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def refused(text: bytes) -> bool:
    try:
        decode(text)
    except BadSpeech:
        return True
    return False


def test_what_is_said_arrives() -> None:
    assert decode(encode(Beat(3, 17, True, 0.5))) == Beat(3, 17, True, 0.5)


@given(st.binary(max_size=200))
def test_bytes_are_no_speech(text: bytes) -> None:
    assert refused(text)


@given(st.sampled_from(sorted(KINDS)), JSON)
def test_a_kind_with_any_content_is_understood_or_refused(kind: str, content: object) -> None:
    refused(json.dumps({"kind": kind, "said": content}).encode())


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"kind":"Beat","said":' + b'{"formation":' * 50_000])
def test_nesting_without_end_is_refused(text: bytes) -> None:
    assert refused(text)
