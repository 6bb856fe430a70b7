"""Groups of the very machines that supervisors run, on a simulated clock, network and set of trainers.

Where the exploration asks what may never happen, this asks that the group gets on: that faults are
followed, in time, by new formations that commit.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from edgetrain.group.ballot import Established, Persist
from edgetrain.group.effects import (
    Announce,
    Between,
    Build,
    Effect,
    FetchFrom,
    Log,
    Order,
    Send,
    VotesLost,
    formation_id,
)
from edgetrain.group.machine import Group
from edgetrain.group.members import Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.status import Pace, PlanView, Stage
from edgetrain.local import messages as local
from edgetrain.local.messages import Decision, FormationId, Position, Prepared
from tests.model.sites import Content, Site, Trainer

SILENCE = 0.5
HEARTBEAT = 0.1
RESTART = 0.3
SAVE_SECONDS = 1.0
LINEAGE = 1


class Simulation:
    step_seconds = (0.02, 0.05)
    """Of a trainer's own work a step."""

    def __init__(self, size: int, seed: int = 0, planned: int | None = None) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.pods = self.first_pods(size)
        self.histories: dict[int, dict[int, Content]] = {}
        """Lineage -> step -> all that is in the state after it."""
        self.commits: list[tuple[float, int, int]] = []
        """(time, pod, step)"""
        self.logs: list[str] = []
        self.index = {pod.worker: index for index, pod in enumerate(self.pods)}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._facts: set[tuple[str, FormationId, int, int]] = set()
        self._words: dict[FormationId, Established] = {}
        self._reform: dict[FormationId, int] = {}
        self._cut: set[frozenset[int]] = set()
        self._one_way: set[tuple[int, int]] = set()
        self.slow_disk = 0.0
        """Seconds that it takes to keep a vote."""
        self.builds_fail = False
        """No group can be built: all name one another for it."""
        self._heard: dict[tuple[int, int], float] = {}
        self._sent: dict[tuple[int, int], float] = {}
        self._saved_at, self._saves = 0.0, (0, 0)
        self.sites = [Site(Group(pod, None, 0.0), None) for pod in self.pods]
        for index in range(size):
            self.after(self.random.uniform(0, HEARTBEAT), partial(self.beat, index))
        self.begin(planned if planned is not None else size)

    def first_pods(self, size: int) -> list[Pod]:
        return [Pod(f"w{i}", f"p{i}") for i in range(size)]

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
        return replace(PlanView(LINEAGE, revision, pods, line, founders, self.step > 0), **changes)

    # --- the clock

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, action))

    def at(self, index: int, seconds: float, action: Callable[[], None]) -> None:
        """Something that a pod does: not while it is stopped, and not after a restart."""
        site, life = self.sites[index], self.sites[index].lives

        def act() -> None:
            if not site.up or site.lives != life:
                return
            if site.stopped:
                site.backlog.append(act)
            else:
                action()

        self.after(seconds, act)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            if until():
                return True
        self.now = end
        return until()

    # --- the network

    def connected(self, a: int, b: int) -> bool:
        """What one sends comes to the other, and what acknowledges it comes back."""
        one_way = (a, b) in self._one_way or (b, a) in self._one_way
        return frozenset((a, b)) not in self._cut and not one_way

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
        waiting = trainer.left or trainer.contributed > step
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
        lag = 0.0
        for effect in effects:
            match effect:
                case Persist(record):
                    site.disk, lag = record, self.slow_disk
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

    # --- trainers

    def start_trainer(self, index: int) -> None:
        site = self.sites[index]
        site.starts += 1
        trainer = Trainer(Member(*self.pods[index], f"i{site.starts}"))
        site.trainer = trainer

        def ready() -> None:
            if site.trainer is trainer:
                self.carry(index, site.group.on_ready(trainer.member, "layout", self.now))

        self.at(index, self.random.uniform(0.1, 0.2), ready)

    def order(self, index: int, message: Any) -> None:
        trainer = self.sites[index].trainer

        def obey() -> None:
            if trainer is not None and self.sites[index].trainer is trainer:
                if self.sites[index].frozen:
                    self.sites[index].backlog.append(obey)
                else:
                    self._obey(index, trainer, message)

        self.at(index, 0.001, obey)

    def tell(self, index: int, message: local.Message) -> None:
        """From the trainer to its supervisor, in order."""
        trainer = self.sites[index].trainer
        due = self._sent[index, index] = max(self.now + 0.001, self._sent.get((index, index), 0.0))

        def told() -> None:
            if self.sites[index].trainer is trainer:
                self.carry(index, self.sites[index].group.on_trainer(message, self.now))

        self.at(index, due - self.now, told)

    def _obey(self, index: int, trainer: Trainer, message: Any) -> None:
        match message:
            case local.Start():
                self._start(index, trainer, message)
            case local.Halt(formation):
                self._leave(trainer)
                self.tell(index, local.Halted(formation, trainer.position))
            case local.Reform() if trainer.word and not trainer.left:
                # Rides in the next vote: none may have committed a step beyond it.
                self._reform.setdefault(formation_id(trainer.word), trainer.position.committed + 1)
            case Established():
                self._leave(trainer)
                trainer.word, trainer.left, trainer.donor = message, False, None
                name = formation_id(message)
                self._words[name] = message
                self._facts.add(("formed", name, 0, index))
                self._build(index, trainer, trainer.turn, self.now + 2.0)

    def _start(self, index: int, trainer: Trainer, start: local.Start) -> None:
        if start.keep and trainer.whole:
            self._leave(trainer)
            trainer.position = Position(start.lineage, None, trainer.position.committed)
        elif trainer.position.committed and not start.resume:
            self.kill_trainer(index)  # The initial state is not kept: only a new process has it.
            return
        else:
            wanted = start.resume
            held = self.sites[index].checkpoints if wanted else {}
            content = held.get((wanted.lineage, wanted.step, wanted.digest), ()) if wanted else ()
            self._leave(trainer)
            trainer.position, trainer.content = Position(start.lineage, None, len(content)), content
            trainer.whole, trainer.donor = False, None
        trainer.begun = True
        self.tell(index, local.Started(trainer.position))

    def _leave(self, trainer: Trainer) -> None:
        trainer.left, trainer.turn, trainer.contributed = True, trainer.turn + 1, 0

    def work(self, index: int, trainer: Trainer, seconds: float, action: Callable[[], None]) -> None:
        """Something that a trainer does, unless it has been told otherwise by then."""
        turn = trainer.turn

        def act() -> None:
            if self.sites[index].trainer is trainer and trainer.turn == turn:
                if self.sites[index].frozen:
                    self.sites[index].backlog.append(act)
                else:
                    action()

        self.at(index, seconds, act)

    def _ranks(self, word: Established) -> list[int]:
        return [self.index[m.worker] for m in word.formation.members]

    def _linked(self, word: Established) -> bool:
        """No member's process is over or has left. Of a cut link nobody is told."""
        name, members = formation_id(word), word.formation.members
        return all(self._in(self.index[member.worker], member, name) for member in members)

    def _in(self, index: int, member: Member, name: FormationId) -> bool:
        trainer = self.sites[index].trainer
        if not self.sites[index].up or trainer is None or trainer.member != member:
            return False
        word = trainer.word
        return word is None or formation_id(word) < name or (formation_id(word) == name and not trainer.left)

    def _did(self, what: str, word: Established, step: int) -> bool:
        ranks, name = self._ranks(word), formation_id(word)
        return self._uncut(ranks) and all((what, name, step, rank) in self._facts for rank in ranks)

    def _uncut(self, ranks: list[int]) -> bool:
        return all(self.connected(a, b) for a in ranks for b in ranks if a < b)

    def _build(self, index: int, trainer: Trainer, turn: int, due: float) -> None:
        word = trainer.word
        assert word is not None
        if self._did("formed", word, 0) and not self.builds_fail:
            self.tell(index, local.Built(formation_id(word)))
            self.work(index, trainer, 0.02, lambda: self._built(index, trainer))
        elif self.now < due:
            self.work(index, trainer, 0.005, lambda: self._build(index, trainer, turn, due))
        else:
            self._leave(trainer)
            others = [m.worker for m in word.formation.members if m != trainer.member]
            named = others if self.builds_fail else []
            self.tell(index, local.BuildFailed(formation_id(word), named, "late"))

    def _built(self, index: int, trainer: Trainer) -> None:
        word = trainer.word
        assert word is not None
        # Entering: who was in sync with nobody takes over what the others have.
        trainer.position, trainer.whole = replace(trainer.position, lineage=word.lineage), True
        if word.decision is Decision.APPLY and trainer.position.committed < word.step:
            self._commit(index, trainer)
        else:
            self._compute(index, trainer)

    def _compute(self, index: int, trainer: Trainer) -> None:
        seconds = self.random.uniform(*self.step_seconds)
        self.work(index, trainer, seconds, lambda: self._computed(index, trainer))

    def _computed(self, index: int, trainer: Trainer) -> None:
        """Its program is back, unless it stays in code of its own."""
        if not self.sites[index].away:
            self._reduce(index, trainer)
        else:
            self._wait(index, trainer, lambda: self._computed(index, trainer))

    def _reduce(self, index: int, trainer: Trainer) -> None:
        word, step = trainer.word, trainer.position.committed + 1
        assert word is not None
        name = formation_id(word)
        trainer.contributed = step
        self._facts.add(("contributed", name, step, index))
        if self._did("contributed", word, step):
            trainer.position = replace(trainer.position, prepared=Prepared(name, step))
            trainer.held = frozenset(word.formation.members)
            self._facts.add(("entered", name, step, index))
            self.work(index, trainer, self.random.uniform(0, 0.003), lambda: self._vote(index, trainer))
        else:
            self._wait(index, trainer, lambda: self._reduce(index, trainer))

    def _vote(self, index: int, trainer: Trainer) -> None:
        word = trainer.word
        assert word is not None
        if self._did("entered", word, trainer.position.committed + 1):
            self._commit(index, trainer)
        else:
            self._wait(index, trainer, lambda: self._vote(index, trainer))

    def _wait(self, index: int, trainer: Trainer, again: Callable[[], None]) -> None:
        word = trainer.word
        assert word is not None
        if self._linked(word):
            self.work(index, trainer, self.step_seconds[0] / 10, again)
            return
        self._leave(trainer)
        self.tell(index, local.Broken(formation_id(word), trainer.position, "connection closed", []))

    def _commit(self, index: int, trainer: Trainer) -> None:
        word, position = trainer.word, trainer.position
        assert word is not None and position.prepared is not None
        step = position.committed + 1
        assert position.prepared.step == step
        name = position.prepared.formation
        trainer.content = (*trainer.content, trainer.held)
        history = self.histories.setdefault(word.lineage, {})
        assert not history or step <= max(history) + 1, "a step is committed before the one before it"
        known = history.setdefault(step, trainer.content)
        assert known == trainer.content, f"step {step} of lineage {word.lineage} is forked"
        trainer.position = Position(word.lineage, name, step)
        self.commits.append((self.now, index, step))
        self.tell(index, local.Progress(name, "apply", step))
        self._save(index, word, trainer)
        self._follow(index, step)
        if self._reform.get(formation_id(word), -1) == step:
            self._leave(trainer)
            self.tell(index, local.Halted(formation_id(word), trainer.position))
        else:
            self._compute(index, trainer)

    def _save(self, index: int, word: Established, trainer: Trainer) -> None:
        """By the aggregator and the next in rank, of the same steps."""
        ranks, hub = self._ranks(word), self.index[word.formation.aggregator]
        step, at = trainer.position.committed, ranks.index(hub)
        if index not in (hub, ranks[(at + 1) % len(ranks)]):
            return
        if self.now >= self._saved_at + SAVE_SECONDS:
            self._saved_at, self._saves = self.now, (word.lineage, step)
        if (word.lineage, step) == self._saves:
            digest = f"{hash(trainer.content):x}"
            self.sites[index].keep((word.lineage, step, digest), trainer.content)
            self.tell(index, local.Checkpointed(word.lineage, step, digest, ""))

    # --- newcomers

    def fetch(self, index: int, donor: int) -> None:
        trainer = self.sites[index].trainer
        assert trainer is not None
        self._leave(trainer)
        trainer.donor, trainer.word, trainer.whole, trainer.begun = donor, None, False, False
        self.work(index, trainer, 0.1, lambda: self._fetched(index, trainer))

    def _fetched(self, index: int, trainer: Trainer) -> None:
        assert trainer.donor is not None
        giver = self.sites[trainer.donor].trainer
        if giver is None or not self.sites[trainer.donor].up or not self.connected(index, trainer.donor):
            return
        if not self.gives(giver):
            # Its donor waits until it has a state to give.
            self.work(index, trainer, 0.1, lambda: self._fetched(index, trainer))
            return
        trainer.position, trainer.content = replace(giver.position, prepared=None), giver.content
        trainer.whole = True
        self.tell(index, local.CaughtUp(trainer.position))

    def gives(self, donor: Trainer) -> bool:
        """Whether it serves its state: as the engine's Loop._may_capture."""
        return donor.whole or donor.begun

    def _follow(self, donor: int, step: int) -> None:
        for index, site in enumerate(self.sites):
            trainer = site.trainer
            if trainer and trainer.donor == donor and trainer.position.committed == step - 1:

                def replay(i: int = index, t: Trainer = trainer) -> None:
                    giver = self.sites[donor].trainer
                    if giver and t.position.committed == step - 1 and t.donor == donor and t.whole:
                        name = giver.position.formation
                        t.position = Position(giver.position.lineage, name, step)
                        t.content = giver.content[:step]
                        self.tell(i, local.Progress(name, "apply", step))

                self.work(index, trainer, 0.005, replay)

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
        site.group = Group(self.pods[index], site.disk, self.now)
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
        self.boot(index, plan)

    def replace_pod(self, index: int) -> None:
        """As the operator does: another pod of the same worker, and a plan that names it."""
        self.cut_power(index)
        self.sites[index].disk, self.sites[index].lost_disk = None, False
        self.pods[index] = Pod(self.pods[index].worker, self.pods[index].uid + "+")
        self.boot(index)
        planned = [self.index[pod.worker] for pod in self.plan.pods]
        self.give_plan(self.plan_of(planned, self.plan.revision + 1))

    def partition(self, side: set[int]) -> None:
        self._cut |= {frozenset((a, b)) for a in side for b in set(range(len(self.pods))) - side}

    def cut_off(self, index: int) -> None:
        self.partition({index})

    def cut_one_way(self, sender: int, receiver: int) -> None:
        """What the first sends to the other is lost; acknowledgements with it, so that nothing goes on."""
        self._one_way.add((sender, receiver))

    def mend_links(self) -> None:
        self._cut.clear()
        self._one_way.clear()

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
        """The furthest that was committed in the newest lineage."""
        return max(self.histories[max(self.histories)]) if self.histories else 0

    def whole(self, workers: set[int] | None = None) -> bool:
        """All (or these) train in one formation."""
        wanted = workers if workers is not None else set(range(len(self.pods)))
        for index in wanted:
            status = self.sites[index].group.status
            word = self.sites[index].group.word
            if status.stage is not Stage.TRAINING or word is None or set(self._ranks(word)) != wanted:
                return False
        return True
