"""The group's pure machine among sockets and files: events go in, its effects are carried out in order."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from edgetrain.group.effects import Effect
from edgetrain.group.machine import Group
from edgetrain.group.members import Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Vote
from edgetrain.group.status import Pace, Status
from edgetrain.link import Finish, Message, Progress, StoreSet
from edgetrain.supervisor.alarm import Alarm
from edgetrain.supervisor.book import Book
from edgetrain.supervisor.deeds import Deeds
from edgetrain.supervisor.detector import BEAT_SECONDS
from edgetrain.supervisor.disk_writer import DiskWriter
from edgetrain.supervisor.outbox import Outbox
from edgetrain.supervisor.passed_plans import PassedPlans
from edgetrain.supervisor.peers import Peers
from edgetrain.supervisor.plans import is_newer, view_of
from edgetrain.supervisor.settings import Settings
from edgetrain.supervisor.wire import Beat, Passed, Spoken, speaks_for
from edgetrain_protocol.names import OWN_PHASES, SHARED_PHASES
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.signed_plan import SignedPlan

log = logging.getLogger(__name__)

STALL_SECONDS = 0.3
"""A tick that comes so late says that we did not run, not that the others were silent."""


class GroupShell:
    """One supervisor's place in its group. All methods are the loop's thread's.

    `tell_trainer` sends to the program if it lives; `changed` is called when what is reported may have.
    """

    def __init__(
        self,
        settings: Settings,
        disk: DiskWriter,
        tell_trainer: Callable[[Message], None],
        changed: Callable[[], None],
    ) -> None:
        self._settings, self._disk, self._tell, self._changed = settings, disk, tell_trainer, changed
        self._outbox = Outbox()
        self.pod = Pod(settings.worker, settings.pod_uid)
        self._held: SignedPlan | None = None
        self._passed = PassedPlans(settings.credentials, self._hold_passed)
        callbacks = self._opened, self._spoken, self._lost
        self.peers = Peers(self.pod, settings.address, settings.credentials, *callbacks)
        self.group = Group(self.pod, disk.kept.record(), self._now(), disk.kept.set_aside())
        self._book = Book(settings)
        self._deeds = Deeds(self.group, disk, self.peers, self._book, tell_trainer, self._connect)
        self._beat = Beat()
        self._alarm = Alarm(lambda: self.do(self.group.on_time(self._now())))
        self._hung_up = self._told_to_finish = False

    @property
    def plan(self) -> Plan | None:
        return self._held.plan if self._held else None

    # --- life

    async def run(self) -> None:
        """Listen and tick until cancelled.

        Raises:
            OSError: the control port is taken.
            BadDisk: votes cannot be kept, or are lost.
        """
        if old := self._disk.kept.member():
            # Its process died with the supervisor that started it, whatever became of either.
            self.do(self.group.on_ended(old, self._now()))
        if plan := self._disk.kept.plan():
            self._take(plan)
        self.peers.listen("", self._settings.control_port)
        checks = asyncio.create_task(self._passed.check_on(), name="passed plans")
        try:
            await self._tick()
        finally:
            checks.cancel()
            self.peers.close()

    async def _tick(self) -> None:
        """Heartbeats out, silence noticed."""
        due = self._now()
        while True:
            due += BEAT_SECONDS
            await asyncio.sleep(max(due - self._now(), 0))
            if self._outbox.unfit:
                raise self._outbox.unfit
            late = self._now() - due
            if late > STALL_SECONDS:
                due = self._now()
                for peer in self.peers.live.values():
                    peer.pulse.excuse(due)
            else:
                self._hang_up_if_mute()
            self.peers.broadcast(self._beat)
            for worker, peer in list(self.peers.live.items()):
                peer.look(self._now())
                if self._now() > peer.pulse.lost_at():
                    self.peers.drop(worker, "is silent")

    def _hang_up_if_mute(self) -> None:
        """Votes wait for a disk that hangs: the others go on without us until a greeting reaches them."""
        mute = self._outbox.waits and self._disk.silent
        for worker in list(self.peers.live) if mute and not self._hung_up else ():
            self.peers.drop(worker, "is not told what the disk has not kept")
        self._hung_up = mute

    # --- plans

    def hold(self, signed: SignedPlan) -> None:
        """A plan of the operator's, perhaps passed on: it is on disk before any vote that comes of it."""
        if is_newer(signed.plan, self.plan):
            self._disk.save_plan(signed)
            self._take(signed)
            self.peers.broadcast(Passed(signed.text, signed.signature))

    def _hold_passed(self, signed: SignedPlan) -> None:
        """Not from who was let go: what the operator serves it has no group, and that is for nobody else."""
        if signed.plan.group_of(self._settings.worker):
            self.hold(signed)

    def _take(self, signed: SignedPlan) -> None:
        self._held, plan = signed, signed.plan
        group = plan.group_of(self._settings.worker)
        self._book.note(group.members if group else ())
        self._connect()
        self.do(self.group.on_plan(view_of(plan, self._settings.worker), self._now()))
        self._tell_to_finish()
        self._changed()

    def _connect(self) -> None:
        """To all in the plan, and to those who are still in our formation: they leave at a boundary."""
        group = self.plan.group_of(self._settings.worker) if self.plan else None
        formation = self.group.word.formation.members if self.group.word else ()
        wanted = {Pod(m.worker, m.pod_uid) for m in (group.members if group else ())}
        wanted |= {member.home for member in formation}
        self.peers.want(self._book.control_addresses(wanted - {self.pod}))

    # --- the trainer

    def ready(self, member: Member, layout: str, program: str) -> None:
        self.do(self.group.on_ready(member, layout, self._now(), program))
        self._tell_to_finish()

    def _tell_to_finish(self) -> None:
        """Anew with each plan, and each start of the program, which remembers it at most by a checkpoint."""
        wanted = self.plan is not None and self.plan.finish
        if wanted or self._told_to_finish:
            self._tell(Finish(wanted))
        self._told_to_finish = wanted

    def ended(self, member: Member) -> None:
        self._beat = Beat()
        self.do(self.group.on_ended(member, self._now()))

    def hung(self, hung: bool) -> None:
        self.do(self.group.on_hung(hung, self._now()))

    def finished(self) -> None:
        self.do(self.group.on_finished(self._now()))

    def said(self, message: Message) -> None:
        """By the trainer."""
        if isinstance(message, StoreSet):
            self._deeds.publish(message)
            return
        if isinstance(message, Progress) and not self._pace(message):
            return
        self.do(self.group.on_trainer(message, self._now()))

    def _pace(self, progress: Progress) -> bool:
        """Take it into the next heartbeat; says whether a step was committed: phases change more often."""
        number = self.group.status.formation
        usual = sum(progress.phase_seconds.get(phase, 0.0) for phase in OWN_PHASES)
        beat = Beat(number, progress.step, progress.phase in SHARED_PHASES, usual)
        self._on_beat(self.pod, beat)
        moved = (beat.formation, beat.step) != (self._beat.formation, self._beat.step)
        self._beat = beat
        if moved:
            self._all_live()
        return moved

    def _all_live(self) -> None:
        """A step was committed, which takes every member: their data is a sign of life."""
        for member in self.group.word.formation.members if self.group.word else ():
            if peer := self.peers.live.get(member.worker):
                peer.pulse.excuse(self._now())

    # --- the others

    def _opened(self, pod: Pod) -> None:
        for first in self.group.greeting():
            self._outbox.put(self.peers.sending(pod, first))
        if self._held:
            self._outbox.put(self.peers.sending(pod, Passed(self._held.text, self._held.signature)))
        for message in self._deeds.published:
            self._outbox.put(self.peers.sending(pod, message))

    def _spoken(self, pod: Pod, message: Spoken) -> None:
        now = self._now()
        match message:
            case Beat():
                self._on_beat(pod, message)
            case Passed(plan):
                if self._held is None or plan != self._held.text:
                    self._passed.come(pod, message)
            case Status() | Record() | Vote() if not speaks_for(pod, message):
                self.peers.drop(pod.worker, "speaks in another's name")
            case StoreSet():
                if self.group.concerns(pod):
                    self._tell(message)
            case Status():
                self.do(self.group.on_status(message, now))
            case Record():
                self.do(self.group.on_record(message, now))
            case _:
                self.do(self.group.on_said(pod, message, now))

    def _on_beat(self, pod: Pod, beat: Beat) -> None:
        pace = Pace(beat.formation, beat.step, beat.waiting, self._now(), beat.usual)
        self.group.on_pace(pod.worker, pace)

    def _lost(self, pod: Pod, why: str) -> None:
        log.info("%s %s", pod.worker, why)
        self.do(self.group.on_lost(pod.worker, self._now()))

    # --- effects

    def do(self, effects: Iterable[Effect]) -> None:
        """Have carried out what the group wants, in its order: a vote is on disk before it is sent."""
        deeds = [self._deeds.of(effect) for effect in effects]
        for deed in deeds:
            self._outbox.put(deed)
        if deeds:
            self._changed()
        self._alarm.set(self.group.wake_at)

    # --- helpers

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
