"""The order to build a formation, as the trainer gets it. Pure."""

from edgetrain.group.effects import formation_id
from edgetrain.group.said import Established
from edgetrain.link import Form, Peer


def form_order(word: Established, members: list[Peer], rank: int, revision: int) -> Form:
    """What `word` asks of the member at `rank`; `revision` is of the plan that its supervisor holds."""
    formation = word.formation
    return Form(
        formation=formation_id(word),
        members=members,
        rank=rank,
        aggregator=formation.aggregator,
        decision=word.decision,
        step=word.step,
        current=[member.worker for member in word.current],
        terms=formation.terms,
        hold_revision=revision,
    )
