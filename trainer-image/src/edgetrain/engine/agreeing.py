"""Members take the same steps only while their programs are at the same place of their loops. Pure."""

from collections import Counter

from edgetrain.engine.errors import BadProgram
from edgetrain.engine.formation.commit_vote import VoteOutcome
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.step_kind import StepKind
from edgetrain.link import Form


def place_number(epoch: int, cursor: int) -> int:
    """For a vote: the epoch, and how much of it was handed out before."""
    return epoch << 32 | cursor & 0xFFFFFFFF


def agree_on_kind(own: StepKind, others: StepKind) -> None:
    """Raises BadProgram: the programs call different things."""
    if own is not others:
        raise BadProgram(
            f"this worker's program is at {own.words}, the others' at {others.words}: let every worker call "
            "backward and the session's methods equally often and in the same order, whatever its own data "
            "or rank"
        )


def agree_on_place(outcome: VoteOutcome, form: Form) -> None:
    """
    Raises:
        BadProgram: this member's program is elsewhere than those of more than half.
        GroupBroken: another's is.
    """
    there = list(zip(outcome.kinds, outcome.places, strict=True))
    if len(set(there)) == 1:
        return
    (usual, count), own = Counter(there).most_common(1)[0], there[form.rank]
    if own == usual and 2 * count > len(there):
        names = [peer.worker for peer, one in zip(form.members, there, strict=True) if one != own]
        raise GroupBroken(
            f"the programs of {', '.join(names)} are elsewhere in their loops: see their errors"
        )
    kind, place = usual if own != usual else next(one for one in there if one != own)
    agree_on_kind(own[0], kind)
    raise BadProgram(
        f"this worker's program is in epoch {own[1] >> 32}, the others' in epoch {place >> 32}, or at "
        "another batch of it: count in session.state, which goes along with the model, and leave loops by "
        "session.agree(...)"
    )
