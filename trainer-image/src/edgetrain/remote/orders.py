"""What the process that fetches and pushes is asked for, and what it says: a line of JSON each."""

import msgspec


class FetchSource(msgspec.Struct, frozen=True, tag=True):
    """Have what a job names by an address."""

    uri: str
    root: str
    """Where it is kept."""
    sha256: str = ""
    keys: str = ""
    """Directory of its Secret's files; empty: there is none."""
    beside: str = ""
    """A directory that is to hold a copy of it and nothing else; empty: it is used where it is kept."""


class ListCheckpoints(msgspec.Struct, frozen=True, tag=True):
    """Have what the store says of a job's checkpoints in a directory, and nothing else."""

    uri: str
    """Of this job's own."""
    keys: str
    directory: str


class RestoreCheckpoint(msgspec.Struct, frozen=True, tag=True):
    """Have the data of one of them beside what is said of it."""

    uri: str
    keys: str
    manifest: str
    """A file of that directory."""


class PushCheckpoint(msgspec.Struct, frozen=True, tag=True):
    """Have the store hold this one too."""

    uri: str
    keys: str
    manifest: str
    address: str = ""
    """Of this worker; while its link is in use there are longer pauses. Empty: without any."""


class PushFile(msgspec.Struct, frozen=True, tag=True):
    """Have the store hold a file, with its hash beside."""

    uri: str
    """Of the file there."""
    keys: str
    file: str


Order = FetchSource | ListCheckpoints | RestoreCheckpoint | PushCheckpoint | PushFile


class GotOn(msgspec.Struct, frozen=True, tag=True):
    """So many bytes are there."""

    bytes: int


class Done(msgspec.Struct, frozen=True, tag=True):
    path: str = ""
    lock: str = ""
    """Who shares this file's lock keeps what is at `path`. The process that says so does, until it is told to
    end."""


class Waits(msgspec.Struct, frozen=True, tag=True):
    """It fails, and is tried again until whoever asked has it end."""

    reason: str
    error: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    reason: str
    error: str


Said = GotOn | Waits | Done | Failed
"""The last one is Done or Failed."""

_order, _said = msgspec.json.Decoder(Order), msgspec.json.Decoder(Said)


def read_order(line: bytes) -> Order:
    return _order.decode(line)


def read_said(line: bytes) -> Said:
    """Raises msgspec.DecodeError: it is none."""
    return _said.decode(line)


def to_line(message: Order | Said) -> bytes:
    return msgspec.json.encode(message) + b"\n"
