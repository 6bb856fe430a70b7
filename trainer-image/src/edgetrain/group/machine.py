"""One supervisor's part in its group: events in, effects out, by the ballot (what may be done) and the policy
(what should be done now). Events come with the time; effects are carried out in their order.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from edgetrain.group import lateness, links, policy
from edgetrain.group.announcing import Announcing
from edgetrain.group.bars import Bars
from edgetrain.group.calls import Calls
from edgetrain.group.effects import Asked, Between, Effect, Log, Order, Send
from edgetrain.group.members import Formation, Member, Pod, names
from edgetrain.group.record import Record
from edgetrain.group.rules import Verdict, Vote
from edgetrain.group.said import Established, Refusal
from edgetrain.group.standing import empty_formations, own_formation, superseded
from edgetrain.group.status import Pace, PlanView, Status
from edgetrain.group.view import AskReform, CallVote, Invite, Move, Nothing, PutOut, View
from edgetrain.link import messages as link


class Group(Announcing):
    """Not for several threads. Every method returns what to do, in order, before the next event."""

    def __init__(self, pod: Pod, record: Record | None, now: float, left: Iterable[Record] = ()) -> None:
        """`record` is what was on disk, `left` what was set aside; whatever trainer they speak of is over."""
        super().__init__(pod, record, left)
        self.paces: dict[str, Pace] = {}
        self.wake_at: float | None = None
        """When on_time is due, whatever happens before."""
        self.why = ""
        """Why nothing is done just now, or what was done last: for people."""
        self.waits_for: tuple[str, ...] = ()
        """Workers, where nothing is done for want of them."""
        self._calls = Calls()
        self._situation: tuple[object, float] = (None, now)
        self._bars = Bars()
        self._lagging: frozenset[str] = frozenset()
        self._invited: dict[str, tuple[float, str]] = {}
        self._reform_asked: float | None = None

    # --- what others see and say

    def on_status(self, status: Status, now: float) -> list[Effect]:
        self._told[status.pod.worker] = status
        return self._settle(now)

    def on_lost(self, worker: str, now: float) -> list[Effect]:
        """Its connection was closed, or it fell silent."""
        self._told.pop(worker, None)
        self.paces.pop(worker, None)
        self._withdraw_if(lambda voter: voter.worker == worker)
        return self._settle(now)

    def on_record(self, record: Record, now: float) -> list[Effect]:
        """What a pod has voted for, with which of its trainer's incarnations are over."""
        self._unheard[record.pod, record.history.group] = record
        return self._settle(now)

    def on_pace(self, worker: str, pace: Pace) -> None:
        """A heartbeat; `pace.since` is kept from before where nothing has changed.

        Nothing is decided on it: who leads looks for latecomers by its own clock, and heartbeats are many.
        """
        before = self.paces.get(worker)
        same = before and (before.formation, before.step, before.waiting) == pace[:3]
        self.paces[worker] = pace._replace(since=before.since) if before and same else pace

    def on_said(self, sender: Pod, message: Between, now: float) -> list[Effect]:
        if not self.concerns(sender):
            return []
        if isinstance(message, Asked):
            self.asked(message)
        elif self.ballot:
            if isinstance(message, Vote):
                self._shown.note(message.record)
                records = self._shown.counting(self.ballot, self.statuses.values())
                self.ballot = replace(self.ballot, empty=empty_formations(records))
            if isinstance(message, Refusal) and message.promised < message.formation.number:
                # Not for its number: the next call would be refused too.
                self._lagging |= {sender.worker}
            self._run(*self.ballot.on_said(sender, message), now)
        return self._settle(now)

    def on_time(self, now: float) -> list[Effect]:
        own = self.ballot.own if self.ballot else None
        if own and now >= self._calls.due:
            voted = {vote.voter for vote in own.votes}
            for worker in [m.worker for m in own.asking.voters if m not in voted]:
                self._bars.did_not_vote(worker, now)
                self._effects.append(Log(f"{worker} did not vote in {self._calls.patience:g} s"))
            self._calls.not_answered()
            self._withdraw()
        return self._settle(now)

    # --- the plan

    def on_plan(self, plan: PlanView, now: float) -> list[Effect]:
        """A newer one than that held before."""
        if self.votes_lost:
            return []
        if plan.founders and self._begins(plan):
            self.begin(plan)
            self._lagging, self._invited, self._reform_asked = frozenset(), {}, None
            self._calls = Calls()
            for record in self._shown.all():
                self.recall(record)
        elif self.plan and plan.nudge > self.plan.nudge:
            self._try_anew()
        if plan.train and not (self.plan and self.plan.train):
            self.moved_at = now
        self.plan = plan
        if self._member:
            self._effects.append(Order(link.Hold(plan.revision)))
        return self._settle(now)

    def _begins(self, plan: PlanView) -> bool:
        """Whether it is of a newer history than our votes, or of another group."""
        if self.ballot is None:
            return True
        own = self.ballot.record.history
        return plan.history.group != own.group or plan.history > own

    # --- the trainer

    def on_ready(self, member: Member, layout: str, now: float, program: str = "") -> list[Effect]:
        """A trainer process has come to its loop."""
        self.ready(member, layout, program)
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

    def on_trainer(self, message: link.Message, now: float) -> list[Effect]:
        if isinstance(message, link.Transferring):
            self.moved_at = now
            return []
        before = self.decisive()
        self.heard(message, now)
        if not self._effects and self.decisive() == before:
            # One step more. To decide anew, here and at all others, took most of a supervisor's time.
            return []
        return self._settle(now)

    # --- deciding

    def _settle(self, now: float) -> list[Effect]:
        """Do what is due, tell what has changed, and hand over all that is to be done."""
        for record in self.listen():
            self.recall(record)
            self._withdraw_if(record.ended.__contains__)
        history = self.plan.history if self.plan else None
        self.estrange({s.history for s in self.statuses.values() if s.base})
        self.start(any(s.formation and s.history == history for s in self.statuses.values()))
        self.fetch()
        view = self.see(now) if self.ballot and self.plan and self._member else None
        self.status = replace(self.status, doubts=lateness.doubts(view) if view else ())
        for _ in range(8):  # a move may make the next one possible at once
            if not self._move(now):
                break
        self.announce(now - self._situation[1])
        effects, self._effects = self._effects, []
        return effects

    def _move(self, now: float) -> bool:
        self.wake_at = now + policy.LOOK_SECONDS
        if self.ballot is None or self.plan is None:
            return False
        calling = self.ballot.own is not None
        if calling or now < self._calls.retry_at:
            self.wake_at = self._calls.due if calling else self._calls.retry_at
            return False
        self.try_links(links.is_named(view := self._view(now)))
        move = policy.decide(view)
        if not isinstance(move, Invite):
            self.why, self.waits_for = move.why, move.waits_for if isinstance(move, Nothing) else ()
        return self._make(move, now)

    def _make(self, move: Move, now: float) -> bool:
        match move:
            case Nothing(until):
                look = now + policy.LOOK_SECONDS
                self.wake_at = look if until is None else min(until, look)
                return False
            case CallVote():
                self._call(move, now)
            case AskReform(why):
                self._effects += [Log(f"asks all to stop at a boundary: {why}"), Order(link.Reform())]
                self._reform_asked = now
            case Invite(pod, donor):
                self._invite(pod, donor, now)
            case PutOut(worker, why):
                self._effects.append(Log(f"puts {worker} out: {why}"))
                self._bars.put_out(worker, self.status.formation, now)
        return True

    def _call(self, move: CallVote, now: float) -> None:
        assert self.ballot is not None
        members, witnesses = (names(them) for them in (move.formation.members, move.witnesses))
        beside = f", with the votes of {witnesses}" if witnesses else ""
        self._effects.append(Log(f"calls formation {move.formation.number} of {members}{beside}: {move.why}"))
        self._calls.begin(now)
        self._run(*self.ballot.call(move.formation, move.witnesses), now)

    def _try_anew(self) -> None:
        """All stand still by the operator's word: what was held against anybody counts no more."""
        self._bars, self._lagging, self._invited = Bars(), frozenset(), {}
        self._calls, self._reform_asked = Calls(highest=self._calls.highest), None
        self.break_up()
        self._effects.append(Log("the operator asks all who stand still to try anew"))

    def _invite(self, pod: Pod, donor: Member, now: float) -> None:
        assert self.ballot is not None
        self._invited[pod.worker] = (now, donor.worker)
        asked = Asked(self.ballot.record.history, self.ballot.record.base, donor)
        self._effects.append(Log(f"asks {pod.worker} in, from {donor.worker}'s state"))
        if pod == self.pod:
            self.asked(asked)
            self.fetch()
        else:
            self._effects.append(Send(pod, asked))

    def _view(self, now: float) -> View:
        situation = policy.situation(view := self.see(now))
        if situation != self._situation[0]:
            self._situation = (situation, now)
        return replace(view, since=self._situation[1])

    def see(self, now: float) -> View:
        """What decisions look at."""
        assert self.ballot is not None and self.plan is not None
        record, heard = self.ballot.record, self.statuses.values()
        records = self._shown.counting(self.ballot, heard)
        empty = empty_formations(records)
        formation = own_formation(record, self._member, self.status.formation, heard, empty)
        return View(
            me=self.pod,
            now=now,
            plan=self.plan,
            statuses={**self.statuses, self.pod.worker: self.own_status(self.statuses)},
            formation=formation,
            superseded=superseded(record, formation, heard, empty),
            # As a call will be judged: that one has ended counts with what it had voted for in this history,
            # or calls are made for ever that cannot be established.
            ended=frozenset(m for r in records for m in r.ended),
            empty=empty,
            declared=tuple(self.ballot.declared),
            records={r.pod: r for r in records},
            paces=self.paces,
            barred=self._bars.until,
            mute=self._bars.mute,
            judged=self._bars.judged,
            lagging=self._lagging,
            invited=self._invited,
            reform_asked=self._reform_asked,
            highest=self._calls.highest,
        )

    # --- carrying out

    def formed(self, word: Established) -> None:
        super().formed(word)
        self._calls.established()
        self._reform_asked, self._lagging = None, frozenset()
        # Not who is on its way still: asked in anew with each formation, it would be at no boundary in time.
        members = {m.worker for m in word.formation.members}
        self._invited = {w: asked for w, asked in self._invited.items() if w not in members}

    def failed(self, formation: Formation, verdict: Verdict, now: float) -> None:
        self._effects.append(Log(f"formation {formation.number}: {verdict.outcome.value}: {verdict.reason}"))
        self._calls.failed(formation, verdict, now)
        self._lagging |= {m.worker for m in verdict.lagging}

    def _withdraw(self) -> None:
        self.ballot = self.ballot and self.ballot.withdraw()

    def _withdraw_if(self, lost: Callable[[Member], bool]) -> None:
        own = self.ballot.own if self.ballot else None
        if own and any(map(lost, own.asking.voters)):
            self._withdraw()
