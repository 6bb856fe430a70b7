"""Entering a formation: all its members come to the same ledger, and to the same bits where need be.

The first thing that is said in a new group, before any tensor whose size depends on the model: ranks
that disagree on sizes kill the process inside Gloo.
"""

import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch

from edgetrain.engine.errors import ModelMismatch
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.reducer import Reducer
from edgetrain.engine.state.flat_model import FlatModel, first_difference, hash_of
from edgetrain.engine.state.ledger import Ledger
from edgetrain.link import Form


@dataclass(frozen=True)
class Standing:
    """Where one member stands when it enters; integers, as they are gathered."""

    committed: int
    in_sync: int
    """Its parameters are known to be those of `committed`: fetched, or shared in a formation before."""
    cut_number: int
    """Number of the formation that cut its step in hand; 0 where there is none."""
    epochs: int
    """Of all loops up to that in which it was cut, and ..."""
    epoch: int
    """... its epoch: who has left a loop early cuts the next one's first step."""
    layout: int
    holder: int
    """Its incarnation."""
    in_hand: int
    """Checksum of the batch that its program has been given, 0 if none: what it can still bring in."""
    factors: int
    """Checksum of what low rank begins with, 0 if nothing."""

    @property
    def knows(self) -> tuple[int, ...]:
        """More than a member with less of it."""
        return self.in_sync, self.cut_number, self.epochs, self.epoch


def checksum(positions: Sequence[int] | None) -> int:
    """Not 0 for an empty batch: who has that in hand has its part of the step all the same."""
    return 0 if positions is None else 1 << 32 | zlib.crc32(repr(tuple(positions)).encode())


def holder_name(number: int) -> str:
    return f"{number:012x}"


def layout_number(layout: Sequence[str]) -> int:
    return int(hash_of(layout)[:15], 16)


@dataclass(frozen=True)
class Agreement:
    """What all members of a formation begin it with."""

    ledger: Ledger
    """It has the step in hand, unless all is trained."""
    holders: list[str]
    """By rank."""
    whole: torch.Tensor | None
    """The parameters and buffers to take, where this member's are not known to be right."""
    factors: torch.Tensor | None
    """What low rank begins with."""
    again: bool
    """Who has a batch in hand is to give it up, and to take its part of the same step as it is cut now."""


def enter(
    reducer: Reducer,
    form: Form,
    own: Standing,
    ledger: Ledger,
    factors: torch.Tensor | None,
    flat: FlatModel,
    layout: Sequence[str],
    *,
    counted: bool,
) -> Agreement:
    """Agree with the other members. Changes nothing here. `counted`: their programs count their batches.

    Raises:
        GroupBroken: the group failed, or another member does not fit.
        ModelMismatch: this member does not fit.
    """
    standings = [Standing(*row) for row in reducer.gather(astuple(own))]
    lead = leader(standings, form.hub)
    _check_layouts(reducer, form, standings, lead, layout)
    _check_positions(form, standings)
    told = Ledger.from_json(reducer.tell(ledger.to_json(), lead))
    common = told.kept_by(accountable(told, standings))
    # Who counts its batches may have had its last one, and would not come for it once more.
    if again := common.adds_a_step(told) and not counted:
        common = common.at_rest()
    in_sync = all(standing.in_sync for standing in standings)
    whole = None if in_sync else spread(reducer, flat, lead)
    if len({standing.factors for standing in standings}) > 1:
        factors = _taken(reducer, factors, lead)
    if common.cut is None:
        # Who keeps an older batch in hand cannot bring in another one.
        holders = [holder_name(s.holder) for s in standings if again or not s.in_hand]
        common = common.share_out(form.formation, holders)
    return Agreement(common, [holder_name(s.holder) for s in standings], whole, factors, again)


def spread(reducer: Reducer, flat: FlatModel, root: int) -> torch.Tensor | None:
    """The parameters and buffers of rank `root`, for all others to take over, bit by bit."""
    data = flat.whole()
    reducer.spread(data, root)
    return None if reducer.group.rank == root else data


def _taken(reducer: Reducer, factors: torch.Tensor | None, root: int) -> torch.Tensor | None:
    """Rank `root`'s factors, on every rank."""
    text = reducer.tell(b"" if factors is None else factors.numpy().tobytes(), root)
    return torch.frombuffer(bytearray(text), dtype=torch.float32) if text else None


def leader(standings: Sequence[Standing], aggregator: int) -> int:
    """The rank of the member whose ledger and parameters the others take.

    It is the one that knows most, among equals the aggregator.
    """
    return max(
        range(len(standings)),
        key=lambda rank: (*standings[rank].knows, rank == aggregator, -rank),
    )


def accountable(ledger: Ledger, standings: Sequence[Standing]) -> set[str]:
    """Holders who can still bring in their part of the step in hand: not those who were restarted since."""
    parts = ledger.cut.slices if ledger.cut else {}
    return {
        name
        for standing in standings
        if (name := holder_name(standing.holder)) in parts and standing.in_hand in (0, checksum(parts[name]))
    }


def _check_layouts(
    reducer: Reducer, form: Form, standings: Sequence[Standing], lead: int, layout: Sequence[str]
) -> None:
    right = standings[lead].layout
    others = [form.members[r].worker for r, s in enumerate(standings) if s.layout != right]
    if not others:
        return
    theirs = reducer.tell("\n".join(layout).encode(), lead).decode().split("\n")
    if standings[reducer.group.rank].layout != right:
        raise ModelMismatch(first_difference(layout, theirs))
    raise GroupBroken(f"the programs of {', '.join(others)} differ from the others': see their errors")


def _check_positions(form: Form, standings: Sequence[Standing]) -> None:
    committed = {standing.committed for standing in standings}
    if len(committed) > 1:
        where = ", ".join(f"{p.worker} {s.committed}" for p, s in zip(form.members, standings, strict=True))
        raise GroupBroken(f"members enter at different steps: {where}")
