"""Simulated trainers: they train as the engine does, and tell what it tells."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgetrain.group.effects import Effect, formation_id
from edgetrain.group.members import Member, Pod
from edgetrain.group.said import Established
from edgetrain.link import messages as link
from edgetrain.link.messages import Decision, FormationId, Position, Prepared
from edgetrain_protocol.history import NO_HISTORY, History
from tests.model.network import Network
from tests.model.sites import Content, Site, Trainer

SAVE_SECONDS = 1.0
STUCK_SECONDS = 2.0
STARVED_SECONDS = 5.0


class Trainers(Network, ABC):
    step_seconds = (0.02, 0.05)
    """Of a trainer's own work a step."""

    sites: list[Site]

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size, seed)
        self.pods = self.first_pods(size)
        self.index = {pod.worker: index for index, pod in enumerate(self.pods)}
        self.histories: dict[History, dict[int, Content]] = {}
        """History -> step -> all that is in the state after it."""
        self.commits: list[tuple[float, int, int]] = []
        """(time, pod, step)"""
        self._sent: dict[tuple[int, int], float] = {}
        self._facts: set[tuple[str, FormationId, int, int]] = set()
        self._words: dict[FormationId, Established] = {}
        self._reform: dict[FormationId, int] = {}
        self.slow: set[int] = set()
        """Who replays more slowly than the others train: it takes another snapshot now and then."""
        self.builds_fail = False
        """No group can be built: all name one another for it."""
        self._saved_at, self._saves = 0.0, (NO_HISTORY, 0)

    def first_pods(self, size: int) -> list[Pod]:
        return [Pod(f"w{i}", f"p{i}") for i in range(size)]

    @abstractmethod
    def carry(self, index: int, effects: list[Effect]) -> None:
        """Carry out what a group wants."""

    @abstractmethod
    def kill_trainer(self, index: int) -> None:
        """End its process; another one follows."""

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

    def tell(self, index: int, message: link.Message) -> None:
        """From the trainer to its supervisor, in order."""
        trainer = self.sites[index].trainer
        due = self._sent[index, index] = max(self.now + 0.001, self._sent.get((index, index), 0.0))

        def told() -> None:
            if self.sites[index].trainer is trainer:
                self.carry(index, self.sites[index].group.on_trainer(message, self.now))

        self.at(index, due - self.now, told)

    def _obey(self, index: int, trainer: Trainer, message: Any) -> None:
        match message:
            case link.Start():
                self._start(index, trainer, message)
            case link.Halt(formation):
                self._leave(trainer)
                self.tell(index, link.Halted(formation, trainer.position))
            case link.TryLinks() if trainer.word and not trainer.left:
                word = trainer.word
                self.work(index, trainer, 0.5, lambda: self._tell_stuck(index, trainer, word))
            case link.Reform() if trainer.word and not trainer.left:
                # Rides in the next vote: none may have committed a step beyond it.
                self._reform.setdefault(formation_id(trainer.word), trainer.position.committed + 1)
            case Established():
                self._leave(trainer)
                trainer.word, trainer.left, trainer.donor, trainer.stuck = message, False, None, []
                name = formation_id(message)
                self._words[name] = message
                self._facts.add(("formed", name, 0, index))
                self._build(index, trainer, trainer.turn, self.now + 2.0)

    def _start(self, index: int, trainer: Trainer, start: link.Start) -> None:
        if start.keep and trainer.whole:
            self._leave(trainer)
            trainer.position = Position(start.history, None, trainer.position.committed)
            self.rewind(trainer)
        elif trainer.position.committed and not start.resume:
            self.kill_trainer(index)  # The initial state is not kept: only a new process has it.
            return
        else:
            wanted = start.resume
            held = self.sites[index].checkpoints if wanted else {}
            content = held.get((wanted.history, wanted.step, wanted.digest), ()) if wanted else ()
            self._leave(trainer)
            trainer.position, trainer.content = Position(start.history, None, len(content)), content
            trainer.whole, trainer.donor, trainer.in_hand = False, None, False
        trainer.begun = True
        self.tell(index, link.Started(trainer.position))

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
        return all(self.carries(a, b) for a in ranks for b in ranks if a < b)

    def _build(self, index: int, trainer: Trainer, turn: int, due: float) -> None:
        word = trainer.word
        assert word is not None
        if self._did("formed", word, 0) and not self.builds_fail:
            self.tell(index, link.Built(formation_id(word)))
            self.work(index, trainer, 0.02, lambda: self._built(index, trainer))
        elif self.now < due:
            self.work(index, trainer, 0.005, lambda: self._build(index, trainer, turn, due))
        else:
            self._leave(trainer)
            others = [m.worker for m in word.formation.members if m != trainer.member]
            named = others if self.builds_fail else []
            self.tell(index, link.BuildFailed(formation_id(word), named, "late"))

    def _built(self, index: int, trainer: Trainer) -> None:
        word = trainer.word
        assert word is not None
        # Entering: who was in sync with nobody takes over what the others have.
        trainer.position, trainer.whole = replace(trainer.position, history=word.history), True
        if word.decision is Decision.APPLY and trainer.position.committed < word.step:
            self._commit(index, trainer)
        else:
            self._compute(index, trainer)

    def _notice_stuck(self, index: int, trainer: Trainer, word: Established) -> None:
        """After some time without an acknowledgement, as the engine does by the kernel's word."""
        step = trainer.position.committed, formation_id(word)
        if trainer.waits != step:
            trainer.waits, trainer.waits_since = step, self.now
        if self.now >= trainer.waits_since + STUCK_SECONDS:
            self._tell_stuck(index, trainer, word)

    def _tell_stuck(self, index: int, trainer: Trainer, word: Established) -> None:
        others = [rank for rank in self._ranks(word) if rank != index]
        stuck = [self.pods[other].worker for other in others if not self.carries(index, other)]
        if stuck != trainer.stuck:
            trainer.stuck = stuck
            self.tell(index, link.Stuck(formation_id(word), stuck))

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
        trainer.contributed, trainer.in_hand = step, True
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
            self._notice_stuck(index, trainer, word)
            self.work(index, trainer, self.step_seconds[0] / 10, again)
            return
        self._leave(trainer)
        self.tell(index, link.Broken(formation_id(word), trainer.position, "connection closed", []))

    def _commit(self, index: int, trainer: Trainer) -> None:
        word, position = trainer.word, trainer.position
        assert word is not None and position.prepared is not None
        step = position.committed + 1
        assert position.prepared.step == step
        name = position.prepared.formation
        trainer.content, trainer.in_hand = (*trainer.content, trainer.held), False
        history = self.histories.setdefault(word.history, {})
        assert not history or step <= max(history) + 1, "a step is committed before the one before it"
        known = history.setdefault(step, trainer.content)
        assert known == trainer.content, f"step {step} of {word.history} is forked"
        trainer.position = Position(word.history, name, step)
        self.commits.append((self.now, index, step))
        self.tell(index, link.Progress(name, "apply", step))
        self._save(index, word, trainer)
        self._follow(index, step)
        if self._reform.get(formation_id(word), -1) == step:
            self._leave(trainer)
            self.tell(index, link.Halted(formation_id(word), trainer.position))
        else:
            self._compute(index, trainer)

    def _save(self, index: int, word: Established, trainer: Trainer) -> None:
        """By the aggregator and the next in rank, of the same steps."""
        ranks, hub = self._ranks(word), self.index[word.formation.aggregator]
        step, at = trainer.position.committed, ranks.index(hub)
        if index not in (hub, ranks[(at + 1) % len(ranks)]):
            return
        if self.now >= self._saved_at + SAVE_SECONDS:
            self._saved_at, self._saves = self.now, (word.history, step)
        if (word.history, step) == self._saves:
            digest = f"{hash(trainer.content):x}"
            self.sites[index].keep((word.history, step, digest), trainer.content)
            self.tell(index, link.Checkpointed(word.history, step, digest, ""))

    # --- newcomers

    def fetch(self, index: int, donor: int) -> None:
        trainer = self.sites[index].trainer
        assert trainer is not None
        self._leave(trainer)
        trainer.donor, trainer.word, trainer.whole, trainer.begun = donor, None, False, False
        trainer.in_hand = False
        trainer.waits_since = self.now
        self._look_at_donor(index, trainer, 0.1)

    def _fetched(self, index: int, trainer: Trainer) -> None:
        assert trainer.donor is not None
        giver = self.sites[trainer.donor].trainer
        if giver is None or not self.sites[trainer.donor].up or not self.carries(index, trainer.donor):
            self._look_at_donor(index, trainer, 1.0)
            self._starves(index, trainer)
            return
        trainer.waits_since = self.now
        if trainer.whole:
            self._leap(index, trainer, giver)
            self._look_at_donor(index, trainer, 1.0)
            return
        if not self.gives(giver) or self.sites[index].away:
            # Its donor waits until it has a state to give, and it takes one at its own boundary.
            self._look_at_donor(index, trainer, 0.5)
            return
        trainer.position, trainer.content = replace(giver.position, prepared=None), giver.content
        trainer.whole = True
        self.tell(index, link.CaughtUp(trainer.position))
        self._look_at_donor(index, trainer, 1.0)

    def _leap(self, index: int, trainer: Trainer, giver: Trainer) -> None:
        if index in self.slow and self.gives(giver):
            trainer.position, trainer.content = replace(giver.position, prepared=None), giver.content
            self.tell(index, link.Loaded(trainer.position))

    def _look_at_donor(self, index: int, trainer: Trainer, seconds: float) -> None:
        """Whether it is there, so long from now."""
        self.work(index, trainer, seconds, lambda: self._fetched(index, trainer))

    def _starves(self, index: int, trainer: Trainer) -> None:
        assert trainer.donor is not None
        if self.now >= trainer.waits_since + STARVED_SECONDS:
            trainer.waits_since = self.now
            self.tell(index, link.FetchFailed(self.pods[trainer.donor].worker, "nothing comes"))

    def gives(self, donor: Trainer) -> bool:
        """Whether it serves its state, at a boundary: as the engine's Resting."""
        return (donor.whole or donor.begun) and not (donor.in_hand and donor.left)

    def rewind(self, trainer: Trainer) -> None:
        """A step in hand is given up, and its program comes to its boundary."""
        trainer.in_hand = False

    def _follow(self, donor: int, step: int) -> None:
        for index, site in enumerate(self.sites):
            trainer = site.trainer
            if index in self.slow or trainer is None:
                continue
            if trainer.donor == donor and trainer.position.committed == step - 1:

                def replay(i: int = index, t: Trainer = trainer) -> None:
                    giver = self.sites[donor].trainer
                    if giver and t.position.committed == step - 1 and t.donor == donor and t.whole:
                        name = giver.position.formation
                        t.position = Position(giver.position.history, name, step)
                        t.content = giver.content[:step]
                        self.tell(i, link.Progress(name, "apply", step))

                self.work(index, trainer, 0.005, replay)
