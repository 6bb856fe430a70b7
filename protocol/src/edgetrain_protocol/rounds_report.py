"""What a report says of the rounds in which groups train one model."""

from pydantic import Field

from edgetrain_protocol.base import Count, LongText, Many, Name, ShortText, Tolerant


class RoundsPart(Tolerant):
    """From a group's envoy: where it is among the others."""

    version: Count = Field(description="Of the global model: the newest that it has read of.")
    applied: Count = Field(description="The version that its work is measured from.")
    merged: Count = Field(0, description="Samples of all epochs that versions contain.")
    total: Count = Field(0, description="Samples of all epochs.")
    groups: Count = Field(0, description="That take part.")
    trouble: LongText = Field("", description="Why no holder does what it is asked to; empty while one does.")
    ended: bool = Field(False, description="It has trained on all data of its own, and waits for the others.")


class HolderPart(Tolerant):
    """From a holder of the log of rounds, which runs beside this worker's supervisor."""

    name: ShortText
    term: Count = 0
    leads: bool = False
    version: Count = 0
    council: Many[Name] = Field((), max_length=16, description="Names of holders; none before it was told.")
    committed: Count = Field(0, description="Entries of the log.")
    trouble: LongText = Field("", description="What keeps it from writing; empty while nothing does.")
