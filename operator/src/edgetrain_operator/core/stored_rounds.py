"""What later decisions need to remember of a job's log of rounds, as it is stored."""

from pydantic import Field

from edgetrain_protocol.base import Count, Moment, Name, ShortText, Tolerant


class Disk(Tolerant):
    """A worker's, where it would keep the log."""

    identity: ShortText
    pod_uid: ShortText
    """Of the pod that said so."""


class RoundsRecord(Tolerant):
    since: Moment = 0.0
    """When a plan spoke of rounds for the first time."""
    begun: bool = False
    """A holder has reported a council: there is a log, which nobody may begin once more."""
    council: tuple[Name, ...] = Field((), max_length=16)
    """Of holders, by name, as it was heard last."""
    committed: Count = 0
    """Entries of the log when that was heard first."""
    disks: dict[Name, Disk] = Field(default_factory=dict, max_length=1000)
    """By worker."""
    lead: ShortText = ""
    """The holder that said last that it leads."""
    term: Count = 0
    """In which."""
    finished: dict[Name, ShortText] = Field(default_factory=dict, max_length=1000)
    """Workers that have come to the job's end -> their pods."""
    troubled: dict[Name, Moment] = Field(default_factory=dict, max_length=1000)
    """Worker whose group finds no holder that serves it -> when it first said so."""
