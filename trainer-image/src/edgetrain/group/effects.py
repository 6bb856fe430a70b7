"""What a supervisor is told to do about its group, and what supervisors ask of one another beside votes."""

from dataclasses import dataclass

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.said import Established, Said
from edgetrain.group.status import Status
from edgetrain.group.voter import Persist
from edgetrain.link import messages as link
from edgetrain.link.messages import FormationId
from edgetrain_protocol.history import History


@dataclass(frozen=True)
class Asked:
    """A leader asks a newcomer in: fetch from `donor`, who is in `base`, which has committed."""

    history: History
    base: Formation
    donor: Member


Between = Said | Asked
"""What one supervisor says to another."""


@dataclass(frozen=True)
class Send:
    pod: Pod
    message: Between


@dataclass(frozen=True)
class Announce:
    """To all who are heard."""

    message: Status | Record


@dataclass(frozen=True)
class Order:
    """To the trainer."""

    message: link.Message


@dataclass(frozen=True)
class FetchFrom:
    donor: Pod


@dataclass(frozen=True)
class Build:
    """The trainer shall take part in this formation."""

    word: Established


@dataclass(frozen=True)
class Log:
    text: str


@dataclass(frozen=True)
class VotesLost:
    """This pod has voted before and does not know for what. It takes no part any more; a new one may."""

    shown_by: Pod
    formation: Formation


@dataclass(frozen=True)
class SetAside:
    """Durable before anything that follows: what this pod has voted for in a group that it leaves. Should it
    come back to that group, it is bound by it."""

    record: Record


Effect = Persist | SetAside | Send | Announce | Order | FetchFrom | Build | Log | VotesLost


def formation_id(word: Established) -> FormationId:
    return FormationId(word.history, word.formation.number, word.formation.revision)
