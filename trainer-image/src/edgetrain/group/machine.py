"""One supervisor's part in its group: events in, effects out.

Puts together the ballot (what may be done) and the policy (what should be done now), with what is
known of the others and of the own trainer. Events come with the time; effects are carried out in
their order by the supervisor, which is all that it does about the group.
"""

from dataclasses import replace

from edgetrain.group import policy
from edgetrain.group.ballot import Actions, Ballot, Call, Established, Refusal, Said
from edgetrain.group.effects import Announce, Asked, Between, Effect, Log, Order, Send, VotesLost
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Outcome, Rules, Verdict, Vote
from edgetrain.group.standing import own_formation, superseded
from edgetrain.group.status import Pace, PlanView, Stage, Status
from edgetrain.group.trainer import OwnTrainer
from edgetrain.group.view import AskReform, CallVote, Invite, Move, Nothing, PutOut, View
from edgetrain.local import messages as local

CALL_SECONDS = 1.0
"""Who has not voted by then is left out of the next call."""
LONGEST_CALL_SECONDS = 8.0
"""Each call after one that not all answered gets twice as long: starved processors are never in time."""
RECORD_SECONDS = 1.0
"""Who has been in no formation for so long shows its votes, so that all know alike what is lacking."""
RETRY_SECONDS = 0.3
"""After a call that failed for want of members: somebody else may have come."""
BAR_SECONDS = 2.0
LONG_BAR_SECONDS = 10.0


class Group(OwnTrainer):
    """Not for several threads. Every method returns what to do, in order, before the next event."""

    def __init__(self, pod: Pod, record: Record | None, now: float) -> None:
        """`record` is what was on disk; whatever trainer it speaks of is over."""
        super().__init__(pod, record)
        self.statuses: dict[str, Status] = {}
        """Of those who are heard, by worker."""
        self.paces: dict[str, Pace] = {}
        self.wake_at: float | None = None
        """When on_time is due, whatever happens before."""
        self.why = ""
        """Why nothing is done just now, or what was done last: for people."""
        self.waits_for: tuple[str, ...] = ()
        """Workers, where nothing is done for want of them."""
        self._records: dict[Pod, Record] = {}
        self._votes_lost = False
        self._call_due = 0.0
        self._unanswered = 0
        """Calls in a row that somebody did not answer."""
        self._retry_at = 0.0
        self._situation: tuple[object, float] = (None, now)
        self._barred: dict[str, float] = {}
        self._bars: dict[str, int] = {}
        self._lagging: frozenset[str] = frozenset()
        self._invited: dict[str, tuple[float, str]] = {}
        self._reform_asked: float | None = None
        self._highest = 0
        self._announced: Status | None = None
        self._shown: Record | None = None

    # --- what others see and say

    def on_status(self, status: Status, now: float) -> list[Effect]:
        self.statuses[status.pod.worker] = status
        return self._settle(now)

    def on_lost(self, worker: str, now: float) -> list[Effect]:
        """Its connection was closed, or it fell silent."""
        self.statuses.pop(worker, None)
        self.paces.pop(worker, None)
        own = self.ballot.own if self.ballot else None
        if own and any(m.worker == worker for m in own.formation.members):
            self._withdraw()
        return self._settle(now)

    def on_record(self, record: Record, now: float) -> list[Effect]:
        """What a pod has voted for, with which of its trainer's incarnations are over."""
        self._know(record)
        self._recall(record)
        if self.ballot:
            own = self.ballot.own
            if own and any(m in record.ended for m in own.formation.members):
                self._withdraw()
        return self._settle(now)

    def on_pace(self, worker: str, pace: Pace) -> None:
        """A heartbeat; `pace.since` is kept from before where nothing has changed.

        Nothing is decided on it: who leads looks for latecomers by its own clock, and heartbeats are many.
        """
        before = self.paces.get(worker)
        same = before and (before.formation, before.step, before.waiting) == pace[:3]
        self.paces[worker] = pace._replace(since=before.since) if before and same else pace

    def own_pace(self) -> Pace | None:
        return self.paces.get(self.pod.worker)

    def on_said(self, sender: Pod, message: Between, now: float) -> list[Effect]:
        if isinstance(message, Asked):
            self.asked(message)
        elif self.ballot:
            if isinstance(message, Vote):
                self._know(message.record)
            self._run(*_heard(self.ballot, sender, message), now)
        return self._settle(now)

    def on_time(self, now: float) -> list[Effect]:
        own = self.ballot.own if self.ballot else None
        if own and now >= self._call_due:
            voted = {vote.voter for vote in own.votes}
            for member in own.formation.members:
                if member not in voted:
                    self._bar(member.worker, now, BAR_SECONDS)
                    self._effects.append(Log(f"{member.worker} did not vote in {self._patience:g} s"))
            self._unanswered += 1
            self._withdraw()
        return self._settle(now)

    # --- the plan

    def on_plan(self, plan: PlanView, now: float) -> list[Effect]:
        """A newer one than that held before."""
        if self._votes_lost:
            return []
        newer = self.ballot is None or plan.lineage > self.ballot.record.lineage
        if newer and plan.founders:
            self.begin(plan)
            self._lagging, self._invited, self._reform_asked, self._highest = frozenset(), {}, None, 0
            for record in self._records.values():
                self._recall(record)
        elif self.plan and plan.nudge > self.plan.nudge:
            self._try_anew()
        if plan.train and not (self.plan and self.plan.train):
            self.moved_at = now
        self.plan = plan
        if self._member:
            self._effects.append(Order(local.Hold(plan.revision)))
        return self._settle(now)

    # --- the trainer

    def on_ready(self, member: Member, layout: str, now: float) -> list[Effect]:
        """A trainer process has come to its loop."""
        self.ready(member, layout)
        self.moved_at = now
        return self._settle(now)

    def on_ended(self, member: Member, now: float) -> list[Effect]:
        """Its process is over, or was found to be after a restart."""
        self.ended(member, now)
        self.paces.pop(self.pod.worker, None)
        return self._settle(now)

    def on_hung(self, hung: bool, now: float) -> list[Effect]:
        self.status = replace(self.status, hung=hung)
        return self._settle(now)

    def on_finished(self, now: float) -> list[Effect]:
        self.status = replace(self.status, finished=True)
        return self._settle(now)

    def on_trainer(self, message: local.Message, now: float) -> list[Effect]:
        self.heard(message, now)
        return self._settle(now)

    # --- deciding

    def _settle(self, now: float) -> list[Effect]:
        """Do what is due, tell what has changed, and hand over all that is to be done."""
        lineage = self.plan.lineage if self.plan else 0
        self.estrange({s.lineage for s in self.statuses.values() if s.base})
        self.start(any(s.formation and s.lineage == lineage for s in self.statuses.values()))
        self.fetch()
        self._doubt(now)
        for _ in range(8):  # a move may make the next one possible at once
            if not self._move(now):
                break
        self._announce(now)
        effects, self._effects = self._effects, []
        return effects

    def _doubt(self, now: float) -> None:
        view = self._seen(now) if self.ballot and self.plan and self._member else None
        self.status = replace(self.status, doubts=policy.doubts(view) if view else ())

    def _move(self, now: float) -> bool:
        self.wake_at = now + policy.LOOK_SECONDS
        if self.ballot is None or self.plan is None:
            return False
        if self.ballot.own is not None:
            self.wake_at = self._call_due
            return False
        if now < self._retry_at:
            self.wake_at = self._retry_at
            return False
        move = policy.decide(self._view(now))
        if not isinstance(move, Invite):
            self.why, self.waits_for = move.why, move.waits_for if isinstance(move, Nothing) else ()
        return self._make(move, now)

    def _make(self, move: Move, now: float) -> bool:
        match move:
            case Nothing(until):
                look = now + policy.LOOK_SECONDS
                self.wake_at = look if until is None else min(until, look)
                return False
            case CallVote(formation, why):
                members = ", ".join(m.worker for m in formation.members)
                self._effects.append(Log(f"calls formation {formation.number} of {members}: {why}"))
                self._call_due = now + self._patience
                assert self.ballot is not None
                self._run(*self.ballot.call(formation), now)
            case AskReform(why):
                self._effects += [Log(f"asks all to stop at a boundary: {why}"), Order(local.Reform())]
                self._reform_asked = now
            case Invite(pod, donor):
                self._invite(pod, donor, now)
            case PutOut(worker, why):
                self._effects.append(Log(f"puts {worker} out: {why}"))
                times = self._bars[worker] = self._bars.get(worker, 0) + 1
                self._bar(worker, now, LONG_BAR_SECONDS * 2 ** min(times - 1, 5))
        return True

    @property
    def _patience(self) -> float:
        """Seconds that a call waits for its votes."""
        return min(CALL_SECONDS * 2.0**self._unanswered, LONGEST_CALL_SECONDS)

    def _try_anew(self) -> None:
        """All stand still by the operator's word: what was held against anybody counts no more."""
        self._barred, self._bars, self._lagging, self._invited = {}, {}, frozenset(), {}
        self._retry_at, self._reform_asked, self._unanswered = 0.0, None, 0
        self.break_up()
        self._effects.append(Log("the operator asks all who stand still to try anew"))

    def _invite(self, pod: Pod, donor: Member, now: float) -> None:
        assert self.ballot is not None
        self._invited[pod.worker] = (now, donor.worker)
        asked = Asked(self.ballot.record.lineage, self.ballot.record.base, donor)
        self._effects.append(Log(f"asks {pod.worker} in, from {donor.worker}'s state"))
        if pod == self.pod:
            self.asked(asked)
            self.fetch()
        else:
            self._effects.append(Send(pod, asked))

    def _view(self, now: float) -> View:
        view = self._seen(now)
        situation = policy.situation(view)
        if situation != self._situation[0]:
            self._situation = (situation, now)
        return replace(view, since=self._situation[1])

    def _seen(self, now: float) -> View:
        assert self.ballot is not None and self.plan is not None
        record = self.ballot.record
        formation = own_formation(record, self._member, self.status.formation, self.statuses.values())
        return View(
            me=self.pod,
            now=now,
            plan=self.plan,
            statuses={**self.statuses, self.pod.worker: self._own_status()},
            formation=formation,
            superseded=superseded(record, formation, self.statuses.values()),
            ended=frozenset(m for r in (*self._records.values(), record) for m in r.ended),
            counted=frozenset(Rules().counted([*self._shown_by_others(), record])),
            paces=self.paces,
            barred=self._barred,
            lagging=self._lagging,
            invited=self._invited,
            reform_asked=self._reform_asked,
            highest=self._highest,
        )

    # --- carrying out

    def formed(self, word: Established) -> None:
        super().formed(word)
        self._unanswered = 0
        self._reform_asked, self._lagging, self._invited = None, frozenset(), {}

    def failed(self, formation: Formation, verdict: Verdict, now: float) -> None:
        outcome = verdict.outcome
        self._effects.append(Log(f"formation {formation.number}: {outcome.value}: {verdict.reason}"))
        self._highest = max(self._highest, formation.number, verdict.promised)
        self._lagging |= {m.worker for m in verdict.lagging}
        if outcome in (Outcome.OUTNUMBERED, Outcome.INCONSISTENT):
            self._retry_at = now + RETRY_SECONDS

    def _know(self, record: Record) -> None:
        before = self._records.get(record.pod)
        newer = before is None or (record.lineage, record.serial) >= (before.lineage, before.serial)
        if newer:
            self._records[record.pod] = record

    def _shown_by_others(self) -> list[Record]:
        """Records of this lineage: of those heard, and of those who said that an incarnation ended."""
        assert self.ballot is not None
        heard = {status.pod for status in self.statuses.values()}
        lineage = self.ballot.record.lineage
        shown = {p: r for p, r in self._records.items() if p in heard and r.lineage == lineage}
        return list(({record.pod: record for record in self.ballot.declared} | shown).values())

    def _recall(self, shown: Record) -> None:
        """Take in what another pod shows; do we know of all that it shows us to have had a part in?"""
        unknown = self.ballot.record.forgets(shown, self._member) if self.ballot else None
        if unknown is not None:
            self.ballot, self._votes_lost = None, True
            self._effects.append(VotesLost(shown.pod, unknown))
        elif self.ballot:
            self.ballot = self.ballot.on_record(shown)

    def _withdraw(self) -> None:
        if self.ballot:
            self.ballot = self.ballot.withdraw()

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

    def _announce(self, now: float) -> None:
        self.status = self._own_status()
        if self.status != self._announced:
            self._announced = self.status
            self._effects.append(Announce(self.status))
        record = self.ballot.record if self.ballot else None
        stands = self.status.stage not in (Stage.TRAINING, Stage.FORMING)
        if record and record != self._shown and stands and now >= self._situation[1] + RECORD_SECONDS:
            self._shown = record
            self._effects.append(Announce(record))

    def counted(self, now: float) -> list[tuple[Formation, tuple[Member, ...]]]:
        """What the next vote must have enough of, as far as is known: formations, their living members."""
        if self.ballot is None or self.plan is None:
            return []
        view = self._seen(now)
        present = [s.member for s in view.statuses.values() if s.member]
        found = sorted(view.doubtful(present), key=lambda f: f.number)
        return [(f, tuple(m for m in f.members if m not in view.ended)) for f in found]

    def greeting(self) -> list[Status | Record]:
        """The first words on a new connection: before any vote, so that a pod sees what it has forgotten."""
        record = [self.ballot.record] if self.ballot else []
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
