"""What supervisors say to one another: whatever comes instead is refused as that, and nothing worse."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Accepted, Record
from edgetrain.group.rules import Vote
from edgetrain.group.status import Status
from edgetrain.link import Position
from edgetrain.supervisor.wire import KINDS, BadSpeech, Beat, decode, encode, speaks_for
from tests.support.histories import FIRST as FIRST_HISTORY

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)

OWN, OTHER = Member("x", "pod-x", "i1"), Member("b", "pod-b", "i1")
FORMATION = Formation(5, (OWN, OTHER), "b")


def status(pod: Member, member: Member | None) -> Status:
    return Status(pod.home, member)


def record(pod: Member, ended: tuple[Member, ...] = (), voter: Member | None = None) -> Record:
    return Record(pod.home, FIRST_HISTORY, FORMATION, (Accepted(FORMATION, formed=True),), 5, voter, ended)


def vote(voter: Member, record: Record) -> Vote:
    return Vote(FORMATION, voter, record, Position(), clean=True)


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


@pytest.mark.parametrize(
    "message",
    [
        status(OTHER, OTHER),
        status(OWN, OTHER),
        record(OTHER),
        record(OWN, ended=(OTHER,)),
        record(OWN, voter=OTHER),
        vote(OTHER, record(OWN)),
        vote(OWN, record(OTHER)),
        vote(OWN, record(OWN, ended=(OTHER,))),
    ],
)
def test_nobody_speaks_for_another(message: Status | Record | Vote) -> None:
    assert not speaks_for(OWN.home, message)


@pytest.mark.parametrize(
    "message",
    [
        status(OWN, OWN),
        status(OWN, None),
        record(OWN, ended=(OWN._replace(incarnation="i0"),), voter=OWN),
        vote(OWN, record(OWN)),
    ],
)
def test_everybody_speaks_for_itself(message: Status | Record | Vote) -> None:
    assert speaks_for(OWN.home, message)
    assert not speaks_for(Pod("x", "another"), message)
