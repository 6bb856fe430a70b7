"""One supervisor's part in its group: events in, effects out.

Puts together the ballot (what may be done) and the policy (what should be done now), with what is
known of the others and of the own trainer. Events come with the time; effects are carried out in
their order by the supervisor, which is all that it does about the group.
"""

from dataclasses import dataclass, replace

from edgetrain.group import policy
from edgetrain.group.ballot import (
    Actions,
    Ballot,
    Call,
    Established,
    Failed,
    Forming,
    Persist,
    Refusal,
    Said,
    Stopping,
    Tell,
)
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Outcome, Rules, Verdict, Vote
from edgetrain.group.status import Pace, PlanView, Stage, Status
from edgetrain.local import messages as local
from edgetrain.local.messages import FormationId, Position

CALL_SECONDS = 1.0
"""Who has not voted by then is left out of the next call."""
RETRY_SECONDS = 0.3
"""After a call that failed for want of members: somebody else may have come."""
BAR_SECONDS = 2.0
LONG_BAR_SECONDS = 10.0


@dataclass(frozen=True)
class Asked:
    """A leader asks a newcomer in: fetch from `donor`, who is in `base`, which has committed."""

    lineage: int
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

    message: local.Message


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


Effect = Persist | Send | Announce | Order | FetchFrom | Build | Log


class Group:
    """Not for several threads. Every method returns what to do, in order, before the next event."""

    def __init__(self, pod: Pod, record: Record | None, now: float) -> None:
        """`record` is what was on disk; whatever trainer it speaks of is over."""
        self.pod = pod
        self.ballot = Ballot(record.recovered()) if record else None
        self.plan: PlanView | None = None
        self.statuses: dict[str, Status] = {}
        self.paces: dict[str, Pace] = {}
        self.status = Status(pod)
        self.word: Established | None = None
        self.wake_at: float | None = None
        self.why = ""
        """Why nothing is done just now, or what was done last: for people."""
        self._records: dict[Pod, Record] = {}
        self._member: Member | None = None
        self._layout = ""
        self._asked: Asked | None = None
        self._halting = False
        self._effects: list[Effect] = []
        self._call_due = 0.0
        self._retry_at = 0.0
        self._situation: tuple[object, float] = (None, now)
        self._barred: dict[str, float] = {}
        self._bars: dict[str, int] = {}
        self._lagging: frozenset[str] = frozenset()
        self._invited: dict[str, tuple[float, str]] = {}
        self._reform_asked: float | None = None
        self._highest = 0
        self._start_sent: tuple[int, Member] | None = None
        self._announced: Status | None = None

    # --- what others see and say

    def on_status(self, status: Status, now: float) -> list[Effect]:
        self.statuses[status.pod.worker] = status
        return self._settle(now)

    def on_lost(self, worker: str, now: float) -> list[Effect]:
        """Its connection was closed, or it fell silent."""
        self.statuses.pop(worker, None)
        self.paces.pop(worker, None)
        if self._own_call_has(worker):
            self._withdraw()
        return self._settle(now)

    def on_record(self, record: Record, now: float) -> list[Effect]:
        """What a pod has voted for, with which of its trainer's incarnations are over."""
        self._records[record.pod] = record
        if self.ballot:
            self.ballot = self.ballot.on_record(record)
            own = self.ballot.own
            if own and any(m in record.ended for m in own.formation.members):
                self._withdraw()
        return self._settle(now)

    def on_pace(self, worker: str, pace: Pace, now: float) -> list[Effect]:
        """A heartbeat; `pace.since` is kept from before where nothing has changed."""
        before = self.paces.get(worker)
        same = before and (before.formation, before.step, before.waiting) == pace[:3]
        self.paces[worker] = pace._replace(since=before.since) if before and same else pace
        return [] if same else self._settle(now)

    def on_said(self, sender: Pod, message: Between, now: float) -> list[Effect]:
        if isinstance(message, Asked):
            self._on_asked(message)
        elif self.ballot:
            self._run(*_heard(self.ballot, sender, message), now)
        return self._settle(now)

    def on_time(self, now: float) -> list[Effect]:
        own = self.ballot.own if self.ballot else None
        if own and now >= self._call_due:
            voted = {vote.voter for vote in own.votes}
            for member in own.formation.members:
                if member not in voted:
                    self._bar(member.worker, now, BAR_SECONDS)
                    self._effects.append(Log(f"{member.worker} did not vote in {CALL_SECONDS:g} s"))
            self._withdraw()
        return self._settle(now)

    # --- the plan

    def on_plan(self, plan: PlanView, now: float) -> list[Effect]:
        """A newer one than that held before; it is on disk already."""
        if self.ballot is None or plan.lineage > self.ballot.record.lineage:
            self._begin(plan)
        self.plan = plan
        if self._member:
            self._effects.append(Order(local.Hold(plan.revision)))
        return self._settle(now)

    def _begin(self, plan: PlanView) -> None:
        """A new lineage: what was voted in the old one binds nobody any more."""
        founders = tuple(Member(*pod, "") for pod in plan.founders)
        base = Formation(0, founders, plan.founders[0].worker if founders else "")
        ended = self.ballot.record.ended if self.ballot else ()
        record = Record(self.pod, plan.lineage, base, ended=ended)
        position = self.ballot.position if self.ballot else Position()
        old = self.ballot.engaged if self.ballot else None
        if old is not None and self.word is not None:
            self._effects.append(Order(local.Halt(formation_id(self.word))))
        self.ballot = Ballot(record, member=self._member, position=position)
        for other in self._records.values():
            self.ballot = self.ballot.on_record(other)
        self.word, self._asked, self._halting = None, None, False
        self._lagging, self._invited, self._reform_asked, self._highest = frozenset(), {}, None, 0
        self.status = replace(self.status, formation=0, committed=0, suspects=())
        self._stage(Stage.FRESH if self._member else Stage.STARTING)
        self._effects.append(Persist(record))

    # --- the trainer

    def on_ready(self, member: Member, layout: str, now: float) -> list[Effect]:
        """A trainer process has come to its loop."""
        self._member, self._layout = member, layout
        if self.ballot:
            self.ballot = self.ballot.on_member(member)
        self._stage(Stage.FRESH)
        if self.plan:
            self._effects.append(Order(local.Hold(self.plan.revision)))
        return self._settle(now)

    def on_ended(self, member: Member, now: float) -> list[Effect]:
        """Its process is over, or was found to be after a restart."""
        self._member, self.word, self._asked, self._halting = None, None, None, False
        self.status = replace(self.status, formation=0, hung=False, suspects=(), committed=0)
        self._stage(Stage.STARTING)
        if self.ballot:
            self._run(*self.ballot.on_ended(member), now)
            self._effects.append(Announce(self.ballot.record))
        return self._settle(now)

    def on_hung(self, hung: bool, now: float) -> list[Effect]:
        self.status = replace(self.status, hung=hung)
        return self._settle(now)

    def on_finished(self, now: float) -> list[Effect]:
        self.status = replace(self.status, finished=True)
        return self._settle(now)

    def on_trainer(self, message: local.Message, now: float) -> list[Effect]:
        match message:
            case local.Started(position):
                self._at(position)
                self._stage(Stage.STARTED)
            case local.Built(formation) if self._is_in(formation):
                self._stage(Stage.TRAINING)
            case local.BuildFailed(formation, unreachable, error) if self._is_in(formation):
                self._effects.append(Log(f"formation {formation.number} was not built: {error}"))
                self.status = replace(self.status, suspects=tuple(unreachable))
                self._effects.append(Order(local.Halt(formation)))
                self._stage(Stage.BROKEN)
            case local.Broken(formation, position, error, _):
                self._effects.append(Log(f"formation {formation.number} broke: {error}"))
                self._left(formation, position, Stage.BROKEN, now)
            case local.Halted(formation, position):
                self._left(formation, position, self._halted_as(), now)
            case local.CaughtUp(position) if self.status.stage is Stage.FETCHING:
                self._at(position)
                self._stage(Stage.CAUGHT_UP)
            case local.Progress():
                self._on_progress(message)
        return self._settle(now)

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

    def _on_progress(self, progress: local.Progress) -> None:
        """Of one in a formation, or of a newcomer that follows a donor: else nothing can have moved."""
        formation = progress.formation
        ballot = self.ballot
        if ballot is None or formation is None or formation.lineage != ballot.record.lineage:
            return
        moving = ballot.engaged is not None or self.status.stage in (Stage.FETCHING, Stage.CAUGHT_UP)
        if moving and progress.step > ballot.position.committed:
            self._at(Position(formation.lineage, formation, progress.step))

    def _at(self, position: Position) -> None:
        self.status = replace(self.status, committed=position.committed)
        if self.ballot:
            self.ballot = self.ballot.on_position(position)

    def _start(self) -> None:
        """Where nobody trains yet, each takes the state from which the lineage begins."""
        plan, ballot = self.plan, self.ballot
        if plan is None or ballot is None or self._member is None or self.status.stage is not Stage.FRESH:
            return
        begun = ballot.record.base.number or ballot.record.accepted
        trained = any(s.formation and s.lineage == plan.lineage for s in self.statuses.values())
        ours = not plan.source or plan.source == self.pod.worker
        if not plan.train or begun or trained or not ours or self._start_sent == (plan.lineage, self._member):
            return
        self._start_sent = (plan.lineage, self._member)
        keep = plan.source == self.pod.worker and ballot.position.committed > 0
        resume = local.Resume(plan.durable_step) if plan.durable_step is not None and not keep else None
        self._effects.append(Order(local.Start(plan.lineage, resume, keep)))

    def _is_in(self, formation: FormationId) -> bool:
        return self.word is not None and formation_id(self.word)[:2] == formation[:2]

    def _stage(self, stage: Stage) -> None:
        self.status = replace(self.status, stage=stage)

    # --- coming in

    def _on_asked(self, asked: Asked) -> None:
        if self.ballot and asked.lineage == self.ballot.record.lineage and self._member:
            self._asked = asked
            if self.ballot.engaged is not None and self.word and not self._halting:
                self._halting = True
                self._effects.append(Order(local.Halt(formation_id(self.word))))

    def _fetch(self) -> None:
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
        self.status = replace(self.status, formation=0)
        self.word = None
        self._stage(Stage.FETCHING)
        self._effects.append(FetchFrom(asked.donor.home))

    # --- deciding

    def _settle(self, now: float) -> list[Effect]:
        """Do what is due, tell what has changed, and hand over all that is to be done."""
        self._start()
        self._fetch()
        for _ in range(8):  # a move may make the next one possible at once
            if not self._move(now):
                break
        self._announce()
        effects, self._effects = self._effects, []
        return effects

    def _move(self, now: float) -> bool:
        self.wake_at = None
        if self.ballot is None or self.plan is None:
            return False
        if self.ballot.own is not None:
            self.wake_at = self._call_due
            return False
        if now < self._retry_at:
            self.wake_at = self._retry_at
            return False
        move = policy.decide(self._view(now))
        self.why = move.why if not isinstance(move, policy.Invite) else self.why
        return self._make(move, now)

    def _make(self, move: policy.Move, now: float) -> bool:
        match move:
            case policy.Nothing(until):
                self.wake_at = until
                return False
            case policy.CallVote(formation, why):
                members = ", ".join(m.worker for m in formation.members)
                self._effects.append(Log(f"calls formation {formation.number} of {members}: {why}"))
                self._call_due = now + CALL_SECONDS
                assert self.ballot is not None
                self._run(*self.ballot.call(formation), now)
            case policy.AskReform(why):
                self._effects += [Log(f"asks all to stop at a boundary: {why}"), Order(local.Reform())]
                self._reform_asked = now
            case policy.Invite(pod, donor):
                self._invite(pod, donor, now)
            case policy.PutOut(worker, why):
                self._effects.append(Log(f"puts {worker} out: {why}"))
                times = self._bars[worker] = self._bars.get(worker, 0) + 1
                self._bar(worker, now, LONG_BAR_SECONDS * 2 ** min(times - 1, 5))
        return True

    def _invite(self, pod: Pod, donor: Member, now: float) -> None:
        assert self.ballot is not None
        self._invited[pod.worker] = (now, donor.worker)
        asked = Asked(self.ballot.record.lineage, self.ballot.record.base, donor)
        self._effects.append(Log(f"asks {pod.worker} in, from {donor.worker}'s state"))
        if pod == self.pod:
            self._asked = asked
            self._fetch()
        else:
            self._effects.append(Send(pod, asked))

    def _view(self, now: float) -> policy.View:
        assert self.ballot is not None and self.plan is not None
        view = policy.View(
            me=self.pod,
            now=now,
            plan=self.plan,
            statuses={**self.statuses, self.pod.worker: self._own_status()},
            formation=self._formation(),
            superseded=self._superseded(),
            ended=frozenset(m for r in (*self._records.values(), self.ballot.record) for m in r.ended),
            counted=frozenset(Rules().counted([*self.ballot.declared, self.ballot.record])),
            paces=self.paces,
            barred=self._barred,
            lagging=self._lagging,
            invited=self._invited,
            reform_asked=self._reform_asked,
            highest=self._highest,
        )
        situation = policy.situation(view)
        if situation != self._situation[0]:
            self._situation = (situation, now)
        return replace(view, since=self._situation[1])

    def _formation(self) -> Formation | None:
        """The newest that our trainer is in, or would be if word of it had not been lost."""
        assert self.ballot is not None
        known = [self.ballot.record.base, *(a.formation for a in self.ballot.record.accepted)]
        formed = {s.formation for s in self.statuses.values() if s.lineage == self.ballot.record.lineage}
        formed.add(self.status.formation)
        mine = [f for f in known if f.number in formed and self._member in f.members]
        return max(mine, key=lambda f: f.number, default=None)

    def _superseded(self) -> bool:
        """Others are in a formation that we have not voted for: so they have gone on without us."""
        assert self.ballot is not None
        mine = self._formation()
        newest = mine.number if mine else 0
        lineage = self.ballot.record.lineage
        return any(s.lineage == lineage and s.formation > newest for s in self.statuses.values())

    # --- carrying out

    def _run(self, ballot: Ballot, actions: Actions, now: float) -> None:
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
                        self._effects.append(Order(local.Halt(formation_id(self.word))))
                case Forming(word):
                    self._form(word)
                case Failed(formation, verdict):
                    self._failed(formation, verdict, now)

    def _form(self, word: Established) -> None:
        self.word, self._halting, self._asked = word, False, None
        self._reform_asked, self._lagging, self._invited = None, frozenset(), {}
        number = word.formation.number
        self.status = replace(self.status, formation=number, suspects=())
        self._stage(Stage.FORMING)
        self._effects.append(Build(word))

    def _failed(self, formation: Formation, verdict: Verdict, now: float) -> None:
        outcome = verdict.outcome
        self._effects.append(Log(f"formation {formation.number}: {outcome.value}: {verdict.reason}"))
        self._highest = max(self._highest, formation.number, verdict.promised)
        self._lagging |= {m.worker for m in verdict.lagging}
        if outcome in (Outcome.OUTNUMBERED, Outcome.INCONSISTENT):
            self._retry_at = now + RETRY_SECONDS

    def _withdraw(self) -> None:
        if self.ballot:
            self.ballot = self.ballot.withdraw()

    def _own_call_has(self, worker: str) -> bool:
        own = self.ballot.own if self.ballot else None
        return own is not None and any(m.worker == worker for m in own.formation.members)

    def _bar(self, worker: str, now: float, seconds: float) -> None:
        self._barred[worker] = max(self._barred.get(worker, 0.0), now + seconds)

    def _own_status(self) -> Status:
        ballot = self.ballot
        return replace(
            self.status,
            member=self._member,
            layout=self._layout,
            lineage=ballot.record.lineage if ballot else 0,
            base=ballot.record.base.number if ballot else 0,
            closed=ballot.closed if ballot else 0,
            revision=self.plan.revision if self.plan else 0,
            reach=tuple(sorted(self.statuses)),
        )

    def _announce(self) -> None:
        self.status = self._own_status()
        if self.status != self._announced:
            self._announced = self.status
            self._effects.append(Announce(self.status))

    def greeting(self) -> list[Status | Record]:
        """The first words on a new connection."""
        record = [self.ballot.record] if self.ballot and self.ballot.record.ended else []
        return [self._own_status(), *record]


def _heard(ballot: Ballot, sender: Pod, message: Said) -> tuple[Ballot, Actions]:
    match message:
        case Call():
            return ballot.on_call(sender, message)
        case Vote():
            return ballot.on_vote(message)
        case Refusal():
            return ballot.on_refusal(message)
        case Established():
            return ballot.on_established(message)


def formation_id(word: Established) -> FormationId:
    return FormationId(word.lineage, word.formation.number, word.formation.revision)
