"""What of ours reads bytes that came over a network, or lie on a disk that others can write; and bytes that
are nearly right."""

import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from edgetrain.data import SamplerState as DataRecord
from edgetrain.engine.errors import BadCheckpoint, BadState
from edgetrain.engine.state import manifest
from edgetrain.engine.state import snapshot as state
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer.skeleton import read_skeleton, take_apart
from edgetrain.engine.transfer.wire import Wire, WireError, frame
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.link import FormationId, Position, Progress, codec
from edgetrain.report_buffer import ReportBuffer
from edgetrain.rundir import Heartbeat, read_heartbeat, write_heartbeat
from edgetrain.supervisor import wire as speech
from edgetrain.supervisor.disk import BadDisk, Disk
from edgetrain.supervisor.frames import BadFrame, Frames, framed
from edgetrain.supervisor.passed_plans import checked
from edgetrain.supervisor.plans import view_of
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.fleet.reading import read_reports
from edgetrain_operator.fleet.wire import Problem
from edgetrain_protocol.identity import Identity
from edgetrain_protocol.names import HEARTBEAT_FILE
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.signed_plan import SignedPlan
from tests.support.fleet import JOB, plan, report, served
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.identities import kept_credentials, sign, signature_of

MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Parser:
    """Something that reads bytes."""

    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    """By which it says that they are wrong."""
    examples: tuple[bytes, ...]
    """That it reads without an error."""


# --- the parsers


def _follow_plan(data: bytes) -> object:
    read = Plan.from_wire(data)
    return [view_of(read, worker) for worker in ("w-a", "w-b", "nobody")]


def _passed_on(data: bytes) -> object:
    said = speech.decode(data)
    return checked(said, _CREDENTIALS) if isinstance(said, speech.Passed) else said


def _signed(data: bytes) -> object:
    """Whatever the operator's key has signed, by another version of ours."""
    text = data.decode()
    return checked(speech.Passed(text, signature_of(text)), _CREDENTIALS)


def _on_disk(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(data)
            return read(Path(folder))

    return parse


def _kept_reports(folder: Path) -> object:
    buffer = ReportBuffer(folder)
    found = buffer.oldest(10)
    buffer.append(report())
    buffer.discard(len(found))
    return found


def _beats(folder: Path) -> object:
    beat = read_heartbeat(folder)
    return beat and beat.at + 1.0


def _received(data: bytes) -> object:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs, (ours, _) = socket.create_connection(server.getsockname()), server.accept()
    with ours, theirs:
        ours.settimeout(5)
        theirs.sendall(data[: 64 << 10])
        theirs.shutdown(socket.SHUT_WR)
        return Wire(ours).receive(4096, MOST_BYTES)


def _heartbeat() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_heartbeat(Path(folder), Heartbeat(1.0, "reduce", 3, 4))
        return (Path(folder) / HEARTBEAT_FILE).read_bytes()


_STEM = manifest.stem(FIRST_HISTORY, 7)
_MANIFEST = manifest.Manifest(FIRST_HISTORY, 7, 9, "a" * 64, Path(), "b" * 64, "job")
_LEDGER = Ledger(DataRecord.fresh(100, 7), batch=8, epochs=2)
_SNAPSHOT = Snapshot(Position(FIRST_HISTORY), _LEDGER, ["w"], [], {"torch": None, "python": [3, [], None]})
_MEMBERS = (Member("w-a", "pod-w-a", "i1"), Member("w-b", "pod-w-b", "i2"))
_RECORD = Record(Pod("w-a", "pod-w-a"), FIRST_HISTORY, Formation(1, _MEMBERS, "w-a"), voter=_MEMBERS[0])
_SPOKEN: tuple[speech.Spoken, ...] = (speech.Beat(1, 2, True, 0.5), speech.Passed("{}"), _RECORD)
_REPORT = report().model_dump_json(by_alias=True, exclude_none=True).encode()
_PLAN = served().model_copy(update={"founders": ("w-a/pod-w-a", "w-b/pod-w-b")})
_WIRE_PLAN = _PLAN.model_dump_json(by_alias=True).encode()
_SIGNED_PLAN: SignedPlan = sign(_PLAN)
_CREDENTIALS = kept_credentials("w-a", JOB)

PARSERS = {
    "reports": Parser(read_reports, (Problem,), (_REPORT, b'{"reports": [' + _REPORT + b"]}")),
    "plan": Parser(_follow_plan, (ValueError,), (_WIRE_PLAN,)),
    "stored plan": Parser(
        StoredPlan.from_wire, (ValueError,), (StoredPlan(plan=plan()).to_document().encode(),)
    ),
    "speech": Parser(speech.decode, (speech.BadSpeech,), tuple(map(speech.encode, _SPOKEN))),
    "frames": Parser(
        lambda data: list(Frames().feed(data)), (BadFrame,), (framed(b"{}") + framed(b"x" * 99),)
    ),
    "certificate's name": Parser(
        lambda data: Identity.from_uri(data.decode()),
        (ValueError,),
        (Identity("j", "w-a", "p").uri.encode(),),
    ),
    "local link": Parser(
        codec.decode,
        (codec.BadMessage,),
        (codec.encode(Progress(FormationId(FIRST_HISTORY, 2), "vote", 3, loss=0.5)),),
    ),
    "state server": Parser(_received, (WireError, ValueError, KeyError), (frame({"want": "x"}, b"y"),)),
    "state": Parser(state.decode, (BadState,), (state.encode(_SNAPSHOT),)),
    "state without tensors": Parser(read_skeleton, (BadState,), (take_apart(_SNAPSHOT)[0],)),
    "manifest": Parser(
        _on_disk(f"{_STEM}.json", lambda folder: manifest.read(folder / f"{_STEM}.json")),
        (BadCheckpoint,),
        (_MANIFEST.to_json().encode(),),
    ),
    "votes": Parser(
        _on_disk("votes.json", lambda folder: Disk(folder).record()),
        (BadDisk,),
        (TypeAdapter(Record).dump_json(_RECORD),),
    ),
    "plan passed on": Parser(
        _passed_on,
        (speech.BadSpeech, ValueError),
        (speech.encode(speech.Passed(_SIGNED_PLAN.text, _SIGNED_PLAN.signature)),),
    ),
    "signed plan": Parser(_signed, (ValueError,), (_SIGNED_PLAN.text.encode(),)),
    "plan on disk": Parser(
        _on_disk("plan.json", lambda folder: Disk(folder).plan()),
        (),
        (_SIGNED_PLAN.model_dump_json().encode(),),
    ),
    "kept reports": Parser(_on_disk("000000000001.reports", _kept_reports), (), (_REPORT + b"\n",)),
    "heartbeat": Parser(_on_disk(HEARTBEAT_FILE, _beats), (), (_heartbeat(),)),
}
