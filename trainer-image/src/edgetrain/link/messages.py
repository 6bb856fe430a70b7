"""What a supervisor and its trainer tell each other. Plain frozen data.

`formation` in a message is always the whole name (history, revision, number): numbers alone are used
again in another history, and a late message of an old formation must not pass for one of the new.
"""

from dataclasses import dataclass

from edgetrain.link.position import Decision as Decision
from edgetrain.link.position import FormationId as FormationId
from edgetrain.link.position import Position as Position
from edgetrain.link.position import Prepared as Prepared
from edgetrain.link.progress import Exchanged as Exchanged
from edgetrain.link.progress import Progress as Progress
from edgetrain.link.progress import Totals as Totals
from edgetrain.link.terms import DEFAULT_TERMS, Terms
from edgetrain_protocol.history import History

RESTART_STATUS = 75
"""Exit status by which a program asks for a fresh start of it (EX_TEMPFAIL)."""


@dataclass(frozen=True)
class Peer:
    """A member of a formation, at its place in the list: its rank."""

    worker: str
    address: str
    state_port: int
    site: str = ""
    comes_from: str = ""
    """Address from which its supervisor's connection comes, where there is one: another one behind a NAT, or
    where its node has several."""


# --- trainer -> supervisor


@dataclass(frozen=True)
class Ready:
    """The program has reached its loop."""

    layout: str
    """Hash of the parameters' names, shapes and types and of the optimiser's settings."""
    layout_detail: list[str]
    """The hashed lines: one for each parameter, then one for each optimiser's group."""
    position: Position


@dataclass(frozen=True)
class Started:
    """Answer to Start. Where the checkpoint to resume from is not held here, position.committed is 0."""

    position: Position


@dataclass(frozen=True)
class Built:
    formation: FormationId


@dataclass(frozen=True)
class BuildFailed:
    formation: FormationId
    unreachable: list[str]
    error: str


@dataclass(frozen=True)
class Broken:
    """An operation failed; the trainer has left the group for good and keeps its scratch."""

    formation: FormationId
    position: Position
    error: str
    suspects: list[str]


@dataclass(frozen=True)
class Stuck:
    """Data sent to these members do not get through, though the connections stand; nobody: they do again."""

    formation: FormationId
    peers: list[str]


@dataclass(frozen=True)
class Halted:
    """The trainer has left the group for good: it was told to, or all voted to stop at this boundary."""

    formation: FormationId
    position: Position


@dataclass(frozen=True)
class CaughtUp:
    """A newcomer holds fetched state, with the steps since replayed, up to `position`."""

    position: Position


@dataclass(frozen=True)
class Loaded:
    """A donor's snapshot has taken the place of the state at hand, which stands at `position` now."""

    position: Position


@dataclass(frozen=True)
class FetchFailed:
    """Nothing comes from the donor. It is tried on, until another Fetch."""

    donor: str
    error: str


@dataclass(frozen=True)
class Checkpointed:
    history: History
    step: int
    digest: str
    """Names the point in the history: equal for all members that saved it."""
    path: str


@dataclass(frozen=True)
class HeldCheckpoints:
    """All that this worker holds, as the program begins and after one was found to be damaged."""

    checkpoints: list[Checkpointed]


@dataclass(frozen=True)
class StoreRead:
    """What the remote store holds is among what this worker holds."""


@dataclass(frozen=True)
class Transferring:
    """Something comes from a remote store, or goes there, for which the program waits."""


@dataclass(frozen=True)
class Finished:
    """The model is saved. The trainer stays, able to help others over the last step, until Stop."""

    model_path: str
    digest: str
    not_pushed: str | None = None
    """Why the remote store does not hold it; empty: it does. None: that was not this member's to do."""


@dataclass(frozen=True)
class Failed:
    """The program cannot go on; it exits with an error right after."""

    reason: str
    """CamelCase: ModelMismatch, EmptyDataset, BadCheckpoint, BadState, BadProgram, VolumeNotWritable..."""
    error: str


@dataclass(frozen=True)
class Warned:
    """Something is wrong that training survives; it holds until Mended."""

    reason: str
    """CamelCase: BadCheckpoint, CheckpointNotSaved, ModelNotSaved..."""
    error: str


@dataclass(frozen=True)
class Mended:
    """What was warned of is over."""

    reason: str


@dataclass(frozen=True)
class Pong:
    """Answer to Ping by the link's own thread: the process lives, whatever the program computes."""


# --- both ways


@dataclass(frozen=True)
class StoreSet:
    """A key of the store by which Gloo exchanges its addresses; the supervisors carry it to all members."""

    formation: FormationId
    key: str
    value_b64: str


# --- supervisor -> trainer


@dataclass(frozen=True)
class Form:
    """Build a process group of these members, in this order of ranks, and go on training in it.

    `step` is the step in doubt for apply and redo, else the last committed one.
    """

    formation: FormationId
    members: list[Peer]
    rank: int
    aggregator: str
    decision: Decision
    step: int
    current: list[str]
    """Workers whose state counts; the others fetched theirs. All of them at the start of a generation."""
    terms: Terms = DEFAULT_TERMS
    hold_revision: int = 0
    build_seconds: float = 10.0
    """Past it a build is given up and BuildFailed says whom it waited for."""

    @property
    def hub(self) -> int:
        """The aggregator's rank."""
        return [peer.worker for peer in self.members].index(self.aggregator)


@dataclass(frozen=True)
class Halt:
    formation: FormationId


@dataclass(frozen=True)
class TryLinks:
    """See to whom in this formation data get through, beside it: Stuck names the others too."""

    formation: FormationId


@dataclass(frozen=True)
class Reform:
    """Ask the others, in the next vote, to stop at that boundary: all answer Halted."""


@dataclass(frozen=True)
class Hold:
    """This supervisor holds plan `revision` on disk."""

    revision: int


@dataclass(frozen=True)
class Fetch:
    """Drop whatever state there is, take the donor's and follow it."""

    donor: Peer


@dataclass(frozen=True)
class Resume:
    """One checkpoint, which others may hold too: no other of the same step will do."""

    step: int
    history: History
    digest: str


@dataclass(frozen=True)
class Start:
    """Nobody has state: begin a generation afresh, or from a checkpoint."""

    history: History
    resume: Resume | None = None
    keep: bool = False
    """Go on from the state that this trainer holds, whatever history it is of: the new one starts from it."""


@dataclass(frozen=True)
class Finish:
    """Ask the others, in the next step, that no further epoch begins in their loops. The program goes on
    behind them: it saves its model, and says Finished."""

    wanted: bool = True
    """False: no more, since training begins anew. What a step has said stays said in its history."""


@dataclass(frozen=True)
class Stop:
    """Save and exit with 0."""


@dataclass(frozen=True)
class Ping:
    pass


# fmt: off
Message = (
    Ready | Started | Progress | Exchanged | Built | BuildFailed | Broken | Stuck | Halted | CaughtUp | Loaded
    | FetchFailed | Checkpointed | HeldCheckpoints | StoreRead | Transferring | Finished | Failed | Warned
    | Mended | Pong | StoreSet | Form | Halt | Reform | Hold | Fetch | Start | Finish | Stop | TryLinks | Ping
)
# fmt: on
