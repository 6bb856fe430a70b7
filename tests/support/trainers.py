"""Real trainer processes on loopback, and a coordinator that plays their supervisors.

It keeps the contract's rules: halt before positions are compared, one decision for the step in
doubt, newcomers fetch before they are taken in.
"""

import contextlib
import json
import multiprocessing
import os
import queue
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from edgetrain import link
from edgetrain.link import Decision, FormationId, Link, Position
from edgetrain_local.ports import free_port
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import Payload, Reduction
from tests.support import trainer_program
from tests.support.histories import of_generation
from tests.support.identities import JOB, write_identity

PATIENCE = 40.0
DEFAULTS = {"samples": 120, "epochs": 3, "batch": 24, "threads": 1}

# Forks from a process that has imported torch once: three seconds less for each trainer.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["edgetrain.session", "tests.support.trainer_program"])


class Trainer:
    """One process, and what it has said."""

    def __init__(self, worker: str, root: Path, options: dict[str, Any], inbox: "queue.Queue[Any]") -> None:
        self.worker = worker
        self.address, self.comes_from = "127.0.0.1", ""
        self.out = root / f"{worker}-{os.urandom(3).hex()}.json"
        self.state_port = free_port()
        identity = write_identity(root / f"identity-{worker}", worker)
        env = {
            "EDGETRAIN_JOB_UID": JOB,
            "EDGETRAIN_IDENTITY_DIR": str(identity),
            "EDGETRAIN_CA_FILE": str(identity / "authorities.crt"),
            "EDGETRAIN_WORKER": worker,
            "EDGETRAIN_STATE_PORT": str(self.state_port),
            "EDGETRAIN_CHECKPOINT_DIR": str(root / "checkpoints"),
            "EDGETRAIN_MODEL_DIR": str(root / f"model-{worker}"),
            "EDGETRAIN_DATA_POLICY": options.get("data_policy", "distributed"),
        }
        ours, theirs = socket.socketpair()
        files = {"out": str(self.out), "go": str(root / "go")}
        arguments = (theirs, env, DEFAULTS | options | files)
        self.process: BaseProcess = _forks.Process(target=trainer_program.main, args=arguments)
        self.process.start()
        theirs.close()
        self.link = Link(ours)
        self.said: list[link.Message] = []
        self.alive = True
        self._inbox = inbox
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def peer(self) -> link.Peer:
        return link.Peer(self.worker, self.address, self.state_port, comes_from=self.comes_from)

    def send(self, message: link.Message) -> None:
        with contextlib.suppress(link.LinkClosed):
            self.link.send(message)

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def summary(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out.read_text())
        return document

    def last(self, *kinds: type[link.Message]) -> Any:
        return next((message for message in reversed(self.said) if isinstance(message, kinds)), None)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.link.close()
        self._reader.join()

    def _read(self) -> None:
        for message in self.link.receive():
            self._inbox.put((self, message))
        self._inbox.put((self, None))


class Coordinator:
    """Plays the supervisors of all trainers of a job."""

    def __init__(self, root: Path, *, reduction: str = "ring", payload: str = "fp32", **options: Any) -> None:
        self.root, self.reduction, self.payload, self.options = root, reduction, payload, options
        root.mkdir(parents=True, exist_ok=True)
        self.inbox: queue.Queue[tuple[Trainer, link.Message | None]] = queue.Queue()
        self.trainers: list[Trainer] = []
        self.members: list[Trainer] = []
        self.number = 0
        self.decisions: list[tuple[Decision, int]] = []
        """With the step that each is about."""
        self.generation = 1
        self._joined = 0
        """Number of the last formation that took in a newcomer."""

    @property
    def history(self) -> History:
        """The present one."""
        return of_generation(self.generation)

    @property
    def formation(self) -> FormationId:
        """The last one that was told to be built."""
        return FormationId(self.history, self.number, 1)

    # --- what tests call

    def spawn(self, worker: str, **options: Any) -> Trainer:
        trainer = Trainer(worker, self.root, {**self.options, **options}, self.inbox)
        self.trainers.append(trainer)
        self.until(lambda: trainer.last(link.Ready) or not trainer.alive)
        return trainer

    def spawn_all(self, *workers: str, options: dict[str, dict[str, Any]] | None = None) -> list[Trainer]:
        given = options or {}
        some = [Trainer(w, self.root, {**self.options, **given.get(w, {})}, self.inbox) for w in workers]
        self.trainers += some
        self.until(lambda: all(t.last(link.Ready) or not t.alive for t in some))
        return some

    def called(self, worker: str) -> Trainer:
        """The one of this name."""
        return next(trainer for trainer in self.trainers if trainer.worker == worker)

    def start(self, trainers: list[Trainer], resume: link.Resume | None = None) -> None:
        """Begin the generation with these, all of whose states count for the same."""
        for trainer in trainers:
            trainer.send(link.Start(self.history, resume))
        self.until(lambda: all(t.last(link.Started) for t in trainers))
        furthest = max(t.last(link.Started).position.committed for t in trainers)
        current = [t for t in trainers if t.last(link.Started).position.committed == furthest]
        self.members = trainers
        self.form(Decision.NONE, furthest, current)

    def start_over(self, survivor: Trainer, *newcomers: Trainer) -> None:
        """A new generation from the state of one, whom newcomers follow before there is a group."""
        self.generation, self.number, self._joined = self.generation + 1, 0, 0
        survivor.said = [m for m in survivor.said if not isinstance(m, link.Started)]
        survivor.send(link.Start(self.history, keep=True))
        self.until(lambda: survivor.last(link.Started))
        for newcomer in newcomers:
            self.fetch(newcomer, survivor)
        self.members = [survivor, *newcomers]
        self.form(Decision.NONE, survivor.last(link.Started).position.committed, self.members)

    def form(self, decision: Decision, step: int, current: list[Trainer], **settings: Any) -> FormationId:
        self.number += 1
        formation = self.formation
        self.decisions.append((decision, step))
        peers = [t.peer for t in self.members]
        every = self.options.get("checkpoint_every", 3600.0)
        payload = Payload(self.payload)
        terms = link.Terms(Reduction(self.reduction), checkpoint_every_seconds=every, payload=payload)
        for rank, trainer in enumerate(self.members):
            trainer.send(
                link.Form(
                    formation,
                    peers,
                    rank,
                    self.members[0].worker,
                    decision,
                    step,
                    [t.worker for t in current],
                    terms,
                    **settings,
                )
            )
        return formation

    def reform(self, without: tuple[Trainer, ...] = ()) -> None:
        """Halt the living members, compare where they stand, and go on with them."""
        left = [t for t in self.members if t.alive and t not in without]
        self._halt(left)
        self.members = [t for t in left if t.alive]
        positions = [t.last(link.Halted).position for t in self.members]
        self.form(*decide(positions, self._joined), self.members)

    def lose(self, member: Trainer) -> None:
        """Kill it, and go on without it."""
        member.signal(signal.SIGKILL)
        self.until(self.broken)
        self.reform()

    def replace_at_any_moment(self, chance: random.Random, *names: str) -> None:
        """For each of these a member is killed, and it comes instead."""
        for name in names:
            self.until(lambda: self.committed() >= 3)
            # Nothing to wait for: that it is any moment is the point.
            time.sleep(chance.random() * 0.1)
            self.lose(chance.choice(self.members))
            self.join(self.spawn(name))

    def join(self, newcomer: Trainer, donor: Trainer | None = None) -> None:
        """Bring a newcomer up to date beside training, then take it in at a boundary."""
        self.fetch(newcomer, donor)
        self.members[0].send(link.Reform())
        formation = self.formation
        self.until(
            lambda: self.broken() or self.finished() or all(_halted(t, formation) for t in self.members)
        )
        if self.finished():
            return
        if self.broken():
            self.reform()
            self.join(newcomer)
            return
        (position,) = {_halted(t, formation).position for t in self.members}
        current, self.members = self.members, [*self.members, newcomer]
        self._joined = self.number + 1
        self.form(Decision.NONE, position.committed, current)

    def fetch(self, newcomer: Trainer, donor: Trainer | None = None) -> None:
        source = donor or self.members[0]
        newcomer.said = [m for m in newcomer.said if not isinstance(m, link.CaughtUp)]
        newcomer.send(link.Fetch(source.peer))
        self.until(lambda: newcomer.last(link.CaughtUp))

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Until all living members have finished, re-forming after every loss.

        From now on no step takes longer for its leash, which gives tests time before.
        """
        (self.root / "go").touch()

        def done() -> bool:
            meanwhile()
            if self.broken():
                self.reform()
            return self.finished()

        self.until(done)

    def finished(self) -> bool:
        return all(t.last(link.Finished) for t in self.members if t.alive)

    def broken(self) -> bool:
        """Whether the present formation has lost somebody, or says that it does not work."""
        formation = self.formation
        return any(
            not t.alive
            or any(
                isinstance(m, (link.Broken, link.BuildFailed)) and m.formation == formation for m in t.said
            )
            for t in self.members
        )

    def until(self, condition: Callable[[], Any]) -> None:
        """Serve messages until it holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, self._story()
            with contextlib.suppress(queue.Empty):
                self._serve(*self.inbox.get(timeout=min(left, 0.1)))

    def step_after(self, act: Callable[[], None]) -> None:
        """Do it, and see at least one more step committed."""
        before = self.committed()
        act()
        self.until(lambda: self.committed() > before)

    def summaries(self) -> list[dict[str, Any]]:
        """Of the living members, once they have finished."""
        return [t.summary() for t in self.members if t.alive]

    def committed(self) -> int:
        """Furthest step that anybody has told of."""
        told = [t.last(link.Progress) for t in self.trainers]
        return max((p.step for p in told if p), default=0)

    # --- inside

    def _halt(self, trainers: list[Trainer]) -> None:
        formation = self.formation
        for trainer in trainers:
            trainer.said = [
                m for m in trainer.said if not (isinstance(m, link.Halted) and m.formation == formation)
            ]
            trainer.send(link.Halt(formation))

        self.until(lambda: all(not t.alive or _halted(t, formation) for t in trainers))

    def _serve(self, trainer: Trainer, message: link.Message | None) -> None:
        if message is None:
            trainer.alive = False
            return
        trainer.said.append(message)
        if isinstance(message, link.StoreSet):
            for other in self.trainers:
                if other is not trainer:
                    other.send(message)

    def _story(self) -> str:
        lines = [f"decisions {[f'{decision} {step}' for decision, step in self.decisions]}"]
        for t in self.trainers:
            said = [m for m in t.said if not isinstance(m, (link.Progress, link.StoreSet))]
            lines.append(f"{t.worker} alive={t.alive} {t.last(link.Progress)}")
            lines += [f"    {m}" for m in said[-8:]]
        return "\n".join(lines)


def _halted(trainer: Trainer, formation: FormationId) -> Any:
    return next((m for m in trainer.said if isinstance(m, link.Halted) and m.formation == formation), None)


def decide(positions: list[Position], joined: int) -> tuple[Decision, int]:
    """What becomes of the step in doubt, by where the members of the broken formation stand."""
    furthest = max(p.committed for p in positions)
    behind = [p for p in positions if p.committed < furthest]
    newest = max(p.formation.number if p.formation else 0 for p in positions)
    if newest >= joined:
        # The promise that everything rests on: whoever committed knows that all the others had prepared.
        # Only a newcomer that was taken in since may still be replaying.
        for position in behind:
            assert position.prepared and position.prepared.step == furthest, positions
            assert position.committed == furthest - 1, positions
    if behind:
        return Decision.APPLY, furthest
    tags = {p.prepared for p in positions}
    if len(tags) == 1 and (tag := tags.pop()) and tag.step == furthest + 1:
        return Decision.APPLY, tag.step
    return Decision.REDO, furthest + 1


@contextlib.contextmanager
def coordinating(root: Path, **options: Any) -> Iterator[Coordinator]:
    """A coordinator whose processes are all ended afterwards."""
    coordinator = Coordinator(root, **options)
    try:
        yield coordinator
    finally:
        for trainer in coordinator.trainers:
            trainer.end()


def decided(group: Coordinator, step: int) -> Decision:
    """What became of the step over which the first formation broke: this one, or the next, where all had
    committed this one."""
    decision, about = group.decisions[1]
    if (decision, about) == (Decision.APPLY, step - 1):
        # Somebody still waited for the votes of the step before: this one was nobody's yet.
        return Decision.REDO
    return decision


def check_exact(group: Coordinator) -> None:
    """All living members hold the same bits, and every epoch saw every sample exactly once."""
    found = group.summaries()
    assert found
    epochs = len(found[0]["seen"])
    assert [s["seen"] for s in found] == [[[1]] * epochs] * len(found)
    assert len({(s["digest"], s["lr"]) for s in found}) == 1


def stop_all(coordinator: Coordinator) -> None:
    """Let the finished trainers go, and see them end well."""
    for trainer in coordinator.trainers:
        if trainer.alive:
            trainer.send(link.Stop())
    coordinator.until(lambda: not any(t.alive for t in coordinator.trainers))
    for trainer in coordinator.members:
        trainer.process.join()
        assert trainer.process.exitcode in (0, -signal.SIGKILL), trainer.process.exitcode
