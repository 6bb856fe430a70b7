"""A plan with the operator's signature. Its text travels and is kept as the operator wrote it: another
version of our models would write the same plan otherwise, and no signature would fit.
"""

from functools import cached_property
from typing import Self

from pydantic import model_validator

from edgetrain_protocol.base import Tolerant
from edgetrain_protocol.plan import Plan

SIGNATURE_HEADER = "X-Edgetrain-Signature"
"""Of the answer whose body is the plan's text."""
_HEAD = b"edgetrain.io plan\n"
"""The same keys sign certificates: nothing that is signed for one may pass for the other."""


def signed_content(text: str) -> bytes:
    """What is signed, for a plan's text.

    Raises:
        UnicodeEncodeError: it is no text that could be sent.
    """
    return _HEAD + text.encode()


class SignedPlan(Tolerant):
    """As it is held: read, and with what it was read from. Whether the signature is good is for who has
    the authorities to find out."""

    text: str
    """The plan as JSON."""
    signature: str = ""
    """In base64: ECDSA over the SHA-256 of `signed_content`, by one of the operator's authorities. Empty
    where the operator was of a version that signed nothing."""

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if not self.plan.job_uid:
            raise ValueError("jobUid: it is of no job")
        return self

    @cached_property
    def plan(self) -> Plan:
        return Plan.from_wire(self.text)
