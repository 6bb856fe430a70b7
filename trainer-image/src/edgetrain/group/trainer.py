"""A supervisor's own trainer, as far as its group goes: what it says, and what it is told.

Keeps the ballot in step with it: where it stands, what it has left, which process it is.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from edgetrain.group.effects import (
    Announce,
    Asked,
    Build,
    Effect,
    FetchFrom,
    Log,
    Order,
    Send,
    VotesLost,
    formation_id,
)
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Verdict
from edgetrain.group.said import Established
from edgetrain.group.set_aside import SetAsideRecords
from edgetrain.group.status import PlanView, Stage, Status
from edgetrain.group.voter import Actions, Failed, Forming, Persist, Stopping, Tell, Voter
from edgetrain.link import messages as link
from edgetrain.link.messages import FormationId, Position
from edgetrain_protocol.history import NO_HISTORY, History


class OwnTrainer:
    """Collects effects; the group that it is part of hands them over."""

    def __init__(self, pod: Pod, record: Record | None, left: Iterable[Record] = ()) -> None:
        """`left`: its votes in groups that it has left."""
        self.pod = pod
        self._set_aside = SetAsideRecords(left)
        self.ballot = Voter(record.recovered()) if record else None
        self.plan: PlanView | None = None
        self.status = Status(pod)
        self.word: Established | None = None
        """What its formation was made by; None where it is in none."""
        self._member: Member | None = None
        self._layout = self._program = ""
        self._asked: Asked | None = None
        """Where it shall fetch from, once it may."""
        self._donor = ""
        """Whom it was last told to fetch from."""
        self._tried: Established | None = None
        """The formation whose links it was told to try."""
        self._halting = False
        self.moved_at = 0.0
        """When its trainer last got on: became ready to train, took a state, or committed a step."""
        self._start_sent: tuple[History, Member] | None = None
        self.votes_lost = False
        """It has voted before and does not know for what: it takes no part any more."""
        self._effects: list[Effect] = []

    # --- its process

    def ready(self, member: Member, layout: str, program: str) -> None:
        self._member, self._layout, self._program = member, layout, program
        if self.ballot:
            self.ballot = self.ballot.on_member(member)
        self._stage(Stage.FRESH)
        if self.plan:
            self._effects.append(Order(link.Hold(self.plan.revision)))

    def ended(self, member: Member, now: float) -> None:
        self._member, self.word, self._asked, self._halting = None, None, None, False
        self.status = replace(self.status.without_state(), hung=False)
        self._stage(Stage.STARTING)
        if self.ballot:
            self._run(*self.ballot.on_ended(member), now)
            self._effects.append(Announce(self.ballot.record))

    def begin(self, plan: PlanView) -> None:
        """A new history: what was voted in the old one binds nobody in this one."""
        before = self.ballot.record if self.ballot else None
        record, leaving = self._set_aside.enter(self.pod, plan, before, self._member)
        self._effects += leaving
        self._member = None if self._member in record.ended else self._member
        position = self.ballot.position if self.ballot else Position()
        if self.ballot and self.ballot.engaged and self.word:
            self._effects.append(Order(link.Halt(formation_id(self.word))))
        self.ballot = Voter(record, member=self._member, position=position)
        self.word, self._asked, self._halting = None, None, False
        self.status = self.status.without_state()
        self._stage(Stage.FRESH if self._member else Stage.STARTING)
        self._effects.append(Persist(record))

    def is_over(self, member: Member) -> bool:
        """Whether this start of our program is declared to have ended: then it has to."""
        return self.ballot is not None and member in self.ballot.record.ended

    def recall(self, shown: Record) -> None:
        """Take in what another pod shows; do we know of all that it shows us to have had a part in?"""
        unknown = self.ballot.record.forgets(shown, self._member) if self.ballot else None
        if unknown is not None:
            self.ballot, self.votes_lost = None, True
            self._effects.append(VotesLost(shown.pod, unknown))
        elif self.ballot:
            self.ballot = self.ballot.on_record(shown)

    def estrange(self, begun: Collection[History]) -> None:
        """A generation that others have committed a step in begins no more, whatever plan is handed on to us:
        those from before that step are around for long after it."""
        if self.ballot is None:
            return
        before = self.ballot.record
        told = self.plan is not None and self.plan.begun and self.plan.history == before.history
        if told or before.history in begun:
            self.ballot = replace(self.ballot, record=before.estranged())
            if self.ballot.record != before:
                self._effects.append(Persist(self.ballot.record))

    def break_up(self) -> None:
        """Leave a formation in which nothing goes on: its group is called anew."""
        if self.word and not self._halting and self.status.stage in (Stage.TRAINING, Stage.FORMING):
            self._halting = True
            self._effects.append(Order(link.Halt(formation_id(self.word))))

    # --- what it says

    def heard(self, message: link.Message, now: float) -> None:
        match message:
            case link.Started(position):
                self.moved_at = now
                self._at(position)
                self._stage(Stage.STARTED)
            case link.Built(formation) if self._is_in(formation):
                self._stage(Stage.TRAINING)
            case link.BuildFailed(formation, unreachable, error) if self._is_in(formation):
                self._effects.append(Log(f"formation {formation.number} was not built: {error}"))
                self.status = replace(self.status, suspects=tuple(unreachable))
                self._effects.append(Order(link.Halt(formation)))
                self._stage(Stage.BROKEN)
            case link.Stuck(formation, peers) if self._is_in(formation):
                self.status = replace(self.status, stuck=tuple(peers))
            case link.Broken(formation, position, error, _):
                self._effects.append(Log(f"formation {formation.number} broke: {error}"))
                self._left(formation, position, Stage.BROKEN, now)
            case link.Halted(formation, position):
                self._left(formation, position, self._halted_as(), now)
            case link.Loaded() | link.CaughtUp() if self._fetches():
                self._fetched(message, now)
            case link.FetchFailed(donor, error) if donor == self._donor and self._fetches():
                self._effects.append(Log(f"nothing comes from {donor}: {error}"))
                self.status = replace(self.status, stuck=(donor,))
                self._stage(Stage.FETCHING)
            case link.Progress():
                self._on_progress(message, now)

    def _halted_as(self) -> Stage:
        """Stopped by its group's vote, unless we had told it to or it had broken."""
        clean = not self._halting and self.status.stage is Stage.TRAINING
        return Stage.STOPPED if clean else Stage.BROKEN

    def _left(self, formation: FormationId, position: Position, stage: Stage, now: float) -> None:
        if not self._is_in(formation) or self.ballot is None or self.ballot.engaged is None:
            return
        self.status = replace(self.status, committed=position.committed)
        self._stage(stage)
        self._halting = False
        self._run(*self.ballot.on_left(position, clean=stage is Stage.STOPPED), now)

    def _on_progress(self, progress: link.Progress, now: float) -> None:
        """Of one in a formation, or of a newcomer that follows a donor: else nothing can have moved."""
        formation = progress.formation
        ballot = self.ballot
        if ballot is None or formation is None or formation.history != ballot.record.history:
            return
        if (ballot.engaged is not None or self._fetches()) and progress.step > ballot.position.committed:
            self._holds(Position(formation.history, formation, progress.step), now)

    def _fetches(self) -> bool:
        return self.status.stage in (Stage.FETCHING, Stage.CAUGHT_UP)

    def _fetched(self, message: link.Loaded | link.CaughtUp, now: float) -> None:
        self._holds(message.position, now)
        if isinstance(message, link.CaughtUp):
            self.status = replace(self.status, stuck=())
            self._stage(Stage.CAUGHT_UP)

    def _holds(self, position: Position, now: float) -> None:
        """The state of that point of its history."""
        self.moved_at = now
        self.status = replace(self.status, whole=True)
        self._at(position)

    def _at(self, position: Position) -> None:
        self.status = replace(self.status, committed=position.committed)
        if self.ballot:
            self.ballot = self.ballot.on_position(position)

    def start(self, trained: bool) -> None:
        """Where nobody has trained yet, each takes the state from which the generation begins."""
        plan, ballot = self.plan, self.ballot
        if plan is None or ballot is None or self._member is None or self.status.stage is not Stage.FRESH:
            return
        begun = ballot.record.base.number or ballot.record.accepted or ballot.record.stranger
        if not plan.train or begun or trained or self._start_sent == (plan.history, self._member):
            return
        origin = plan.origin
        own = (self.pod.worker, self._member.incarnation)
        if origin and origin.worker and (origin.worker, origin.incarnation) != own:
            return  # Only that process holds the state: to begin from another would lose it.
        self._start_sent = (plan.history, self._member)
        keep = bool(origin and origin.worker)
        resume = link.Resume(origin.step, origin.history, origin.digest) if origin and not keep else None
        self._effects.append(Order(link.Start(plan.history, resume, keep)))

    def try_links(self, named: bool) -> None:
        """Once, where we are an end of a pair between which data do not pass: which end is bad shows in how
        it gets on with the others."""
        if named and self.word is not None and self.word != self._tried:
            self._effects.append(Order(link.TryLinks(formation_id(self.word))))
        self._tried = self.word if named else None

    def own_status(self, heard: Collection[str]) -> Status:
        """`heard`: workers."""
        ballot = self.ballot
        return replace(
            self.status,
            member=self._member,
            layout=self._layout,
            program=self._program,
            history=ballot.record.history if ballot else NO_HISTORY,
            base=ballot.record.base.number if ballot else 0,
            closed=ballot.closed if ballot else 0,
            revision=self.plan.revision if self.plan else 0,
            reach=tuple(sorted(heard)),
        )

    def _is_in(self, formation: FormationId) -> bool:
        return self.word is not None and formation_id(self.word)[:2] == formation[:2]

    def _stage(self, stage: Stage) -> None:
        self.status = replace(self.status, stage=stage)

    # --- coming in

    def asked(self, asked: Asked) -> None:
        ballot = self.ballot
        if ballot is None or self._member is None or asked.history != ballot.record.history:
            return
        if ballot.record.stranger and asked.base.founding:
            return
        self._asked = asked
        if ballot.engaged is not None and self.word and not self._halting:
            self._halting = True
            self._effects.append(Order(link.Halt(formation_id(self.word))))

    def fetch(self) -> None:
        """Once our trainer is in no formation whose state it may still be needed for."""
        asked, ballot = self._asked, self.ballot
        if asked is None or ballot is None or not (asked.base.founding or ballot.may_adopt(asked.base)):
            return
        if ballot.engaged is not None or ballot.pending is not None:
            return
        self._asked = None
        ballot, actions = ballot.adopt(asked.base)
        self.ballot = ballot
        self._effects.extend(a for a in actions if isinstance(a, Persist))
        self.status = replace(self.status, formation=0, formation_name="", stuck=())
        self.word, self._donor = None, asked.donor.worker
        self._stage(Stage.FETCHING)
        self._effects.append(FetchFrom(asked.donor.home))

    def _run(self, ballot: Voter, actions: Actions, now: float) -> None:
        self.ballot = ballot
        for action in actions:
            match action:
                case Persist():
                    self._effects.append(action)
                case Tell(pod, message):
                    self._effects.append(Send(pod, message))
                case Stopping():
                    self._halting = True
                    if self.word:
                        self._effects.append(Order(link.Halt(formation_id(self.word))))
                case Forming(word):
                    self.formed(word)
                case Failed(formation, verdict):
                    self.failed(formation, verdict, now)

    def formed(self, word: Established) -> None:
        self.word, self._halting, self._asked = word, False, None
        number, name = word.formation.number, word.formation.name
        self.status = replace(
            self.status, formation=number, formation_name=name, whole=True, suspects=(), stuck=()
        )
        self._stage(Stage.FORMING)
        self._effects.append(Build(word))

    def failed(self, formation: Formation, verdict: Verdict, now: float) -> None:
        """Our own call came to nothing."""
        raise NotImplementedError
