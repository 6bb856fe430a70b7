"""The state of one replica of the model beside its tensors: where it stands, and what all know alike."""

import secrets

from edgetrain.engine.formation.active_formation import ActiveFormation
from edgetrain.engine.formation.state_sync import holder_name
from edgetrain.engine.state.carried import NOTHING_CARRIED, Carried
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.transfer.replay_log import ReplayLog
from edgetrain.link import Position
from edgetrain_protocol.history import History

COMPARE_EVERY = 100
"""Steps between comparisons of the members' parameters: other processors' kernels differ in the last bits."""
SELDOM = 50
"""Steps between comparisons that epochs ask for."""


class ReplicaState:
    """Guarded by the engine's monitor."""

    def __init__(self, ledger: Ledger) -> None:
        self.log = ReplayLog()
        self.position = Position()
        self.ledger = ledger
        self.loop: Ledger | None = None
        """At the start of the loop in which the program is; None in its first."""
        self.open_ended = False
        """How much that loop has is the program's to know."""
        self.carried = NOTHING_CARRIED
        self.in_sync = False
        """Its parameters are known to be those of `position.committed` in its history."""
        self.compare = True
        """Its parameters are to be compared with the others' in the next vote."""
        self.compared_at = 0
        """The last step in which they were."""
        self.drifted = False
        """They were, and found to differ."""
        self.begun = False
        """It holds the state from which a generation begins, in sync with nobody yet."""
        self.incarnation = secrets.randbits(48)
        self.merge_due = False
        """The last vote in the formation at hand has said that groups have something to do."""
        self.in_hand: tuple[int, ...] | None = None
        """The part of the step that the program has been given, until the step is committed."""

    def over(self, epoch: int) -> bool:
        """This epoch is trained, and no older state is still being replayed."""
        return self.in_sync and self.ledger.record.over(epoch + 1)

    @property
    def usable(self) -> Position | None:
        """Where a donor has to go on from; None if only a snapshot will do."""
        return self.position if self.in_sync else None

    @property
    def holder(self) -> str:
        return holder_name(self.incarnation)

    @property
    def mine(self) -> tuple[int, ...]:
        """This member's part of the step that is shared out."""
        return self.ledger.cut.slices.get(self.holder, ()) if self.ledger.cut else ()

    @property
    def cursor(self) -> int:
        """Positions of the epoch that were handed out before the next step."""
        return self.ledger.record.rolled().cursor

    @property
    def share(self) -> float:
        """Of the batch, 0 to 1."""
        return self.ledger.weights.get(self.holder, 0.0)

    def compares(self, step: int) -> bool:
        """Whether the vote on this step compares the members' parameters."""
        return self.compare or step % COMPARE_EVERY == 0

    def compare_again(self) -> None:
        """Where an epoch begins, if that was not just done: it reads all parameters."""
        self.compare = self.compare or self.position.committed >= self.compared_at + SELDOM

    def enter_epoch(self, epoch: int, active: ActiveFormation) -> None:
        """The program is in this epoch, and all members' are: what they have left of one before is left
        out."""
        ledger = (self.ledger.in_loop(self.loop) if self.loop else self.ledger).in_epoch(epoch)
        if ledger is not self.ledger:
            self.ledger = ledger.share_out(active.id, active.holders)

    def keep_on(self, history: History) -> None:
        """The state at hand, whatever step is in hand, begins a new generation."""
        self.position = Position(history, None, self.position.committed)
        self.log.clear()

    def take_over(
        self, position: Position, ledger: Ledger, carried: Carried = NOTHING_CARRIED, *, in_sync: bool
    ) -> None:
        """Foreign state was loaded: nothing of the old one may be counted or served any more."""
        self.carried = carried
        self.position, self.ledger, self.in_sync = position, ledger, in_sync
        self.incarnation = secrets.randbits(48)
        self.in_hand = None
        self.log.clear()
