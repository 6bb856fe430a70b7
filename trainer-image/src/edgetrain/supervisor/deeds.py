"""By what each effect of the group's machine is carried out: the disk, the other pods, the program."""

import logging
from collections.abc import Callable
from functools import partial

from edgetrain.group.effects import (
    Announce,
    Build,
    Effect,
    FetchFrom,
    Log,
    Order,
    Send,
    SetAside,
    VotesLost,
    formation_id,
)
from edgetrain.group.machine import Group
from edgetrain.group.members import Pod
from edgetrain.group.voter import Persist
from edgetrain.link import Fetch, Message, Peer, StoreSet
from edgetrain.supervisor.book import Book
from edgetrain.supervisor.disk import BadDisk, LostVotes
from edgetrain.supervisor.disk_writer import DiskWriter
from edgetrain.supervisor.orders import form_order
from edgetrain.supervisor.outbox import Deed
from edgetrain.supervisor.peers import Peers

log = logging.getLogger(__name__)


class Deeds:
    """Of the loop's thread.

    `tell_trainer` sends to the program if it lives; `connect` opens what the present formation takes.
    """

    def __init__(
        self,
        group: Group,
        disk: DiskWriter,
        peers: Peers,
        book: Book,
        tell_trainer: Callable[[Message], None],
        connect: Callable[[], None],
    ) -> None:
        self._group, self._disk, self._peers, self._book = group, disk, peers, book
        self._tell, self._connect = tell_trainer, connect
        self.published: list[StoreSet] = []
        """By our trainer, for its formation: for members whose connection opens late, or again."""

    def of(self, effect: Effect) -> Deed:
        """What is said is for the connections of now: one that is opened later begins with a greeting."""
        match effect:
            case Persist() | SetAside():
                return partial(self._disk.save_votes, effect)
            case Send(pod, message):
                return self._peers.sending(pod, message)
            case Announce(message):
                return self._peers.broadcasting(message)
            case Order(message):
                return partial(self._tell, message)
            case FetchFrom(donor):
                return partial(self._fetch, donor)
            case Build():
                return partial(self._build, effect)
            case Log(text):
                return partial(log.info, "%s", text)
            case VotesLost(shown_by, formation):
                return partial(self._give_up, LostVotes(shown_by.worker, formation.number))

    def publish(self, message: StoreSet) -> None:
        """What our trainer has for the others of its formation; nothing where it is in another by now."""
        word = self._group.word
        if word and formation_id(word) == message.formation:
            self.published.append(message)
            for member in word.formation.members:
                self._peers.send(member.home, message)

    def _give_up(self, error: BadDisk) -> None:
        raise error

    def _fetch(self, donor: Pod) -> None:
        if known := self._book.find(donor.worker):
            self._tell(Fetch(Peer(donor.worker, known.address, known.state_port)))

    def _build(self, effect: Build) -> None:
        word, formation = effect.word, effect.word.formation
        self.published = []
        self._connect()
        rank = [m.home for m in formation.members].index(self._group.pod)
        number, size = formation.number, len(formation.members)
        log.info("formation %d of %d: %s step %d", number, size, word.decision, word.step)
        members = [self._book.peer(m.worker, self._peers.comes_from(m.worker)) for m in formation.members]
        plan = self._group.plan
        self._tell(form_order(word, members, rank, plan.revision if plan else 0))
