"""How a member comes into a formation that was built: at one position, with one ledger and the same bits."""

import contextlib
from dataclasses import replace

import torch

from edgetrain.engine.drifts import Drifts
from edgetrain.engine.formation.active_formation import ActiveFormation
from edgetrain.engine.formation.formations import Formations
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.state_sync import (
    Agreement,
    Standing,
    checksum,
    enter,
    layout_number,
    spread,
)
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.orders import Orders
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.transfer.catch_up import CatchUp
from edgetrain.link import Decision


class Entering:
    """Methods are the program's thread's."""

    def __init__(
        self,
        monitor: Monitor,
        replica: ReplicaState,
        formations: Formations,
        catch_up: CatchUp,
        flat: FlatModel,
        layout: list[str],
        drifts: Drifts,
        orders: Orders,
    ) -> None:
        self._drifts, self._orders = drifts, orders
        self.counted = False
        """The program counts its batches, whatever came of them."""
        self._monitor, self._replica, self._formations = monitor, replica, formations
        self._catch_up, self._flat, self._layout = catch_up, flat, layout

    @property
    def entered(self) -> ActiveFormation | None:
        """The formation in which steps are taken."""
        active = self._formations.active
        return active if active and active.entered and not active.left else None

    @held
    def to_enter(self) -> ActiveFormation | None:
        """A built formation for which this member's state is ready."""
        active = self._formations.active
        if not active or not active.open:
            return None
        target = active.form.step - (active.form.decision is Decision.REDO)
        if self._replica.position.committed < target:
            self._catch_up.follow_member(active.form, self._replica.usable)
            return None
        return active

    def enter(self, active: ActiveFormation) -> None:
        """Agree with the other members. A failure has been reported when this returns.

        Raises:
            ModelMismatch: this program does not train what the others train.
        """
        replica, ledger = self._replica, self._replica.ledger
        standing = Standing(
            committed=replica.position.committed,
            in_sync=int(replica.in_sync),
            cut_number=ledger.cut_in.number if ledger.cut_in else 0,
            epochs=ledger.epochs,
            epoch=ledger.cut.epoch if ledger.cut else ledger.record.epoch,
            layout=layout_number(self._layout),
            holder=replica.incarnation,
            in_hand=checksum(replica.in_hand),
            factors=replica.carried.checksum,
        )
        factors, flat, layout = replica.carried.factors, self._flat, self._layout
        with contextlib.suppress(GroupBroken):
            self._formations.run(
                active,
                lambda reducer: enter(
                    reducer, active.form, standing, ledger, factors, flat, layout, counted=self.counted
                ),
                lambda agreement: self._entered(active, agreement),
                lambda agreement: self._take_whole(None if replica.in_sync else agreement.whole),
            )

    def settle_drift(self) -> None:
        """Take the aggregator's bits, after members' parameters were found to differ."""
        with self._monitor:
            active = self.entered
            self._replica.drifted = self._replica.drifted and active is not None
        if not active or not self._replica.drifted:
            return
        with contextlib.suppress(GroupBroken):
            self._formations.run(
                active,
                lambda reducer: spread(reducer, self._flat, active.form.hub),
                lambda whole: self._settled(),
                self._settle,
            )

    def _take_whole(self, whole: torch.Tensor | None) -> None:
        if whole is not None:
            self._flat.set_whole(whole)

    def _settle(self, whole: torch.Tensor | None) -> None:
        if whole is not None and (apart := self._flat.apart(whole)):
            self._drifts.mended(apart)
        self._take_whole(whole)

    def _settled(self) -> None:
        self._replica.drifted = False

    @held
    def _entered(self, active: ActiveFormation, agreement: Agreement) -> None:
        replica = self._replica
        replica.ledger = agreement.ledger
        replica.carried = replace(replica.carried, factors=agreement.factors)
        # What scratch held is nobody's any more once a redo was decided, and the ledger has moved on.
        replica.position = replace(replica.position, history=active.id.history, prepared=None)
        replica.in_sync, replica.compare, replica.merge_due = True, True, False
        active.entered, active.holders = True, agreement.holders
        if agreement.again and replica.in_hand is not None:
            self._orders.rewind = True
        self._catch_up.stop()
