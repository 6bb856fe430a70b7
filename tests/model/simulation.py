"""Groups of the very machines that supervisors run, on a simulated clock, network and set of trainers.

Where the exploration asks what may never happen, this asks that the group gets on: that faults are
followed, in time, by new formations that commit.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from edgetrain.group.effects import (
    Announce,
    Between,
    Build,
    Effect,
    FetchFrom,
    Log,
    Order,
    Send,
    SetAside,
    VotesLost,
)
from edgetrain.group.machine import Group
from edgetrain.group.members import Pod
from edgetrain.group.record import Record
from edgetrain.group.status import Pace, PlanView, Stage
from edgetrain.group.voter import Persist
from edgetrain_protocol.history import ALL
from tests.model.sites import Site
from tests.model.trainers import Trainers
from tests.support.histories import FIRST

SILENCE = 0.5
HEARTBEAT = 0.1
RESTART = 0.3
HISTORY = FIRST


class Simulation(Trainers):
    def __init__(self, size: int, seed: int = 0, planned: int | None = None) -> None:
        super().__init__(size, seed)
        self.logs: list[str] = []
        self.slow_disk = 0.0
        """Seconds that it takes to keep a vote."""
        self._heard: dict[tuple[int, int], float] = {}
        self.sites = [Site(Group(pod, None, 0.0), None) for pod in self.pods]
        for index in range(size):
            self.after(self.random.uniform(0, HEARTBEAT), partial(self.beat, index))
        self.begin(planned if planned is not None else size)

    def begin(self, planned: int) -> None:
        """All pods start, with a plan that an operator has left."""
        self.plan = self.plan_of(range(planned), 1)
        self.founders = self.plan.founders
        for index in range(len(self.pods)):
            self.carry(index, self.sites[index].group.on_plan(self.plan, 0.0))
            self.start_trainer(index)

    def plan_of(self, workers: Any, revision: int, **changes: Any) -> PlanView:
        pods = tuple(self.pods[i] for i in workers)
        line = tuple(p.worker for p in pods)
        founders = getattr(self, "founders", pods)
        return replace(PlanView(HISTORY, revision, pods, line, founders, self.step > 0), **changes)

    # --- the clock

    # --- the network

    def send(self, sender: int, pod: Pod, deliver: Callable[[Group], list[Effect]], lag: float = 0.0) -> None:
        target = self.index[pod.worker]
        if not self.connected(sender, target) or self.pods[target] != pod:
            return
        arrives = self.now + lag + self.random.uniform(0.0005, 0.004)
        due = max(arrives, self._sent.get((sender, target), 0.0))
        self._sent[sender, target] = due
        self.at(target, due - self.now, lambda: self.carry(target, deliver(self.sites[target].group)))

    def beat(self, index: int) -> None:
        self.after(HEARTBEAT, lambda: self.beat(index))
        site = self.sites[index]
        if not site.up or site.stopped:
            return
        for other in range(len(self.pods)):
            if other != index and self.connected(index, other):
                self.at(other, 0.001, partial(self.hear, other, index))
        self._notice_silence(index)
        if site.trainer and site.group.status.hung != site.frozen:
            self.carry(index, site.group.on_hung(site.frozen, self.now))
        if pace := self._pace(index):
            site.group.on_pace(self.pods[index].worker, pace)

    def hear(self, index: int, other: int) -> None:
        new = (index, other) not in self._heard
        self._heard[index, other] = self.now
        group = self.sites[index].group
        if new:
            for words in self.sites[other].group.greeting():
                on = group.on_record if isinstance(words, Record) else group.on_status
                self.carry(index, on(words, self.now))  # type: ignore[arg-type]
        if pace := self._pace(other):
            group.on_pace(self.pods[other].worker, pace)

    def _pace(self, index: int) -> Pace | None:
        trainer = self.sites[index].trainer
        if trainer is None or trainer.word is None:
            return None
        step = trainer.position.committed
        waiting = (trainer.left and not self.sites[index].away) or trainer.contributed > step
        return Pace(trainer.word.formation.number, step, waiting, self.now, 0.05)

    def _notice_silence(self, index: int) -> None:
        for other in range(len(self.pods)):
            heard = self._heard.get((index, other))
            if heard is not None and self.now - heard > SILENCE:
                self.lose(index, other)

    def lose(self, index: int, other: int) -> None:
        if self._heard.pop((index, other), None) is not None:
            self.carry(index, self.sites[index].group.on_lost(self.pods[other].worker, self.now))

    # --- supervisors

    def carry(self, index: int, effects: list[Effect]) -> None:
        site = self.sites[index]
        if any(isinstance(effect, VotesLost) for effect in effects):
            assert site.lost_disk
            self.replace_pod(index)
            return
        lag = self.slow_disk if self._kept(site, effects) else 0.0
        for effect in effects:
            match effect:
                case Send(pod, message):
                    self.send(index, pod, self._saying(index, message), lag)
                case Announce(message):
                    self._announce(index, message)
                case Order(message):
                    self.order(index, message)
                case FetchFrom(donor):
                    self.fetch(index, self.index[donor.worker])
                case Build(word):
                    self.order(index, word)
                case Log(text):
                    self.logs.append(f"{self.now:.3f} w{index} {text}")
        self._set_alarm(index, site.group.wake_at)
        if site.trainer and site.group.is_over(site.trainer.member):
            self.kill_trainer(index)

    def _kept(self, site: Site, effects: list[Effect]) -> bool:
        """Whether anything was to be kept on the disk."""
        for effect in effects:
            match effect:
                case Persist(record):
                    site.disk = record
                case SetAside(record):
                    site.aside[record.history.group] = record
        return any(isinstance(effect, Persist | SetAside) for effect in effects)

    def _set_alarm(self, index: int, wake: float | None) -> None:
        if wake is not None:
            self.at(index, max(0.0, wake - self.now), lambda: self._wake(index, wake))

    def _saying(self, index: int, message: Between) -> Callable[[Group], list[Effect]]:
        return lambda group: group.on_said(self.pods[index], message, self.now)

    def _wake(self, index: int, due: float) -> None:
        if self.sites[index].group.wake_at == due:
            self.carry(index, self.sites[index].group.on_time(self.now))

    def _announce(self, index: int, message: Any) -> None:
        for other, pod in enumerate(self.pods):
            if other != index and (other, index) in self._heard:
                if isinstance(message, Record):
                    self.send(index, pod, lambda g: g.on_record(message, self.now))
                else:
                    self.send(index, pod, lambda g: g.on_status(message, self.now))

    # --- faults

    def kill_trainer(self, index: int) -> None:
        site = self.sites[index]
        if site.up and not site.stopped and site.trainer:
            member, site.trainer, site.frozen = site.trainer.member, None, False
            self.carry(index, site.group.on_ended(member, self.now))
            self.at(index, RESTART, lambda: self.start_trainer(index))

    def stop(self, index: int) -> None:
        self.sites[index].stopped = True

    def wake(self, index: int) -> None:
        site = self.sites[index]
        site.stopped = False
        self._resume(index)

    def freeze(self, index: int) -> None:
        """SIGSTOP to the trainer alone."""
        self.sites[index].frozen = True

    def hang(self, index: int) -> None:
        """Its program does not come back to the session; all threads but its own go on."""
        self.sites[index].away = True

    def come_back(self, index: int) -> None:
        self.sites[index].away = False

    def thaw(self, index: int) -> None:
        self.sites[index].frozen = False
        self._resume(index)

    def _resume(self, index: int) -> None:
        backlog, self.sites[index].backlog = self.sites[index].backlog, []
        for action in backlog:
            self.at(index, 0.0, action)

    def cut_power(self, index: int) -> None:
        site = self.sites[index]
        site.up, site.stopped, site.frozen, site.away, site.backlog = False, False, False, False, []
        site.lives += 1

    def boot(self, index: int, plan: PlanView | None = None) -> None:
        site = self.sites[index]
        if site.up:
            return
        old = site.trainer.member if site.trainer and site.disk else None
        site.up, site.trainer = True, None
        site.group = Group(self.pods[index], site.disk, self.now, site.aside.values())
        for pair in [p for p in self._heard if index in p]:
            self.lose(*pair) if pair[0] != index and self.sites[pair[0]].up else self._heard.pop(pair)
        if old:
            self.carry(index, site.group.on_ended(old, self.now))
        self.hold_first(index, plan)
        self.start_trainer(index)

    def hold_first(self, index: int, plan: PlanView | None) -> None:
        """The plan that it finds when it starts."""
        self.plan = replace(self.plan, begun=self.step > 0)
        self.hold(index, plan or self.plan)

    def lose_disk(self, index: int, plan: PlanView | None = None) -> None:
        """Its pod starts again and finds nothing: its volumes were taken away. `plan`: told first."""
        self.cut_power(index)
        self.sites[index].disk, self.sites[index].lost_disk = None, True
        self.sites[index].aside.clear()
        self.boot(index, plan)

    def replace_pod(self, index: int) -> None:
        """As the operator does: another pod of the same worker, and a plan that names it."""
        self.cut_power(index)
        self.sites[index].disk, self.sites[index].lost_disk = None, False
        self.sites[index].aside.clear()
        self.pods[index] = Pod(self.pods[index].worker, self.pods[index].uid + "+")
        self.boot(index)
        planned = [self.index[pod.worker] for pod in self.plan.pods]
        self.give_plan(self.plan_of(planned, self.plan.revision + 1))

    def heal(self) -> None:
        self.mend_links()
        for index, site in enumerate(self.sites):
            self.wake(index)
            self.thaw(index)
            if not site.up:
                self.boot(index)

    def give_plan(self, plan: PlanView) -> None:
        self.plan = plan
        for index in range(len(self.sites)):
            self.hold(index, plan)

    def hold(self, index: int, plan: PlanView) -> None:
        if self.sites[index].up:
            self.carry(index, self.sites[index].group.on_plan(plan, self.now))

    # --- what came of it

    @property
    def step(self) -> int:
        """The furthest that was committed in the newest generation."""
        return self.step_of(ALL)

    def step_of(self, group: str) -> int:
        """The same of one group."""
        newest = max((h for h in self.histories if h.group == group), default=None)
        return max(self.histories[newest], default=0) if newest else 0

    def whole(self, workers: set[int] | None = None) -> bool:
        """All (or these) train in one formation."""
        wanted = workers if workers is not None else set(range(len(self.pods)))
        for index in wanted:
            status = self.sites[index].group.status
            word = self.sites[index].group.word
            if status.stage is not Stage.TRAINING or word is None or set(self._ranks(word)) != wanted:
                return False
        return True
