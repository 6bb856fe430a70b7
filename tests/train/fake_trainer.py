"""A trainer without torch: speaks the local link, forms groups over TCP, commits by two rounds, never learns.

    python fake_trainer.py LOG STEPS

Writes a line of JSON to LOG for each start and each commit; finishes after STEPS steps.
"""

import base64
import contextlib
import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

from edgetrain.link import (
    Broken,
    Built,
    CaughtUp,
    Decision,
    Fetch,
    Finished,
    Form,
    FormationId,
    Halt,
    Halted,
    Link,
    Message,
    Ping,
    Pong,
    Position,
    Prepared,
    Progress,
    Ready,
    Reform,
    Start,
    Started,
    Stop,
    StoreSet,
)
from edgetrain_protocol.history import history_from

STEP_SECONDS = float(os.environ.get("FAKE_STEP_SECONDS", "0.02"))


class Left(Exception):
    """The formation was left, by us or by another member."""


class FakeTrainer:
    def __init__(self, log: Path, steps: int) -> None:
        link = Link.from_env()
        assert link is not None, "to be run by a supervisor"
        self.link, self.log, self.steps = link, log, steps
        self.worker = os.environ["EDGETRAIN_WORKER"]
        self.changed = threading.Condition()
        self.position = Position()
        self.form: Form | None = None
        self.left = True
        self.busy = False
        self.reform = False
        self.halt: FormationId | None = None
        self.sockets: list[socket.socket] = []
        self.stored: dict[FormationId, dict[str, int]] = {}
        self.followers: list[socket.socket] = []

    def write(self, **line: object) -> None:
        said = {"worker": self.worker, "pid": os.getpid(), "at": time.monotonic(), **line}
        with self.log.open("a") as file:
            file.write(json.dumps(said) + "\n")

    # --- the link's thread

    def run(self) -> None:
        self.write(event="start")
        threading.Thread(target=self.serve_state, daemon=True).start()
        threading.Thread(target=self.train, daemon=True).start()
        self.link.send(Ready(os.environ.get("FAKE_LAYOUT", "layout"), [], self.position))
        for message in self.link.receive():
            with self.changed:
                self.obey(message)
                self.changed.notify_all()

    def obey(self, message: Message) -> None:
        match message:
            case Ping():
                self.link.send(Pong())
            case Stop():
                os._exit(0)
            case Start(history, resume):
                self.position = Position(history, None, resume.step if resume else 0)
                self.link.send(Started(self.position))
            case StoreSet(formation, key, value):
                self.stored.setdefault(formation, {})[key] = int(base64.b64decode(value))
            case Reform():
                self.reform = True
            case Fetch(donor):
                self.leave()
                threading.Thread(
                    target=self.fetch, args=(donor.address, donor.state_port), daemon=True
                ).start()
            case Halt(formation):
                self.leave()
                if self.busy:
                    self.halt = formation
                else:
                    self.link.send(Halted(formation, self.position))
            case Form():
                self.leave()
                self.form, self.left, self.reform = message, False, False

    def leave(self) -> None:
        self.left = True
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.changed.notify_all()

    # --- the training thread

    def train(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.form is not None and not self.left)
                form, self.busy = self.form, True
            assert form is not None
            error = ""
            try:
                self.train_in(form)
            except (OSError, Left) as failure:
                error = str(failure) or "left"
            with self.changed:
                self.busy = False
                halt, self.halt = self.halt, None
                was_left, self.left = self.left or self.form is not form, True
                for sock in self.sockets:
                    sock.close()
                self.sockets = []
                if halt:
                    self.link.send(Halted(halt, self.position))
                elif error and not was_left:
                    self.link.send(Broken(form.formation, self.position, error, []))

    def train_in(self, form: Form) -> None:
        self.connect(form)
        self.link.send(Built(form.formation))
        if form.decision is Decision.APPLY and self.position.committed < form.step:
            assert self.position.prepared is not None
            self.commit(form, self.position.prepared.formation)
        while self.position.committed < self.steps:
            time.sleep(STEP_SECONDS)
            step = self.position.committed + 1
            self.round(form, "reduce", step)
            with self.changed:
                self.check(form)
                self.position = replace(self.position, prepared=Prepared(form.formation, step))
            stop = self.round(form, "vote", step)
            with self.changed:
                self.commit(form, form.formation)
                if stop:
                    self.left, self.reform = True, False
                    self.link.send(Halted(form.formation, self.position))
                    return
        self.link.send(Finished("/model", "digest"))
        with self.changed:
            self.changed.wait_for(lambda: self.left)

    def check(self, form: Form) -> None:
        if self.left or self.form is not form:
            raise Left

    def commit(self, form: Form, formation: FormationId) -> None:
        self.check(form)
        step = self.position.committed + 1
        self.position = Position(form.formation.history, formation, step)
        self.write(event="commit", step=step, count=len(form.members), content=list(formation))
        self.link.send(Progress(formation, "apply", step, samples=step, step_seconds=STEP_SECONDS))
        self.tell_followers()

    def connect(self, form: Form) -> None:
        own = form.members[form.rank]
        listener = socket.create_server((own.address, 0))
        listener.settimeout(5)
        port = str(listener.getsockname()[1]).encode()
        self.link.send(StoreSet(form.formation, str(form.rank), base64.b64encode(port).decode()))
        ports = self.stored.setdefault(form.formation, {})
        with self.changed:
            self.sockets.append(listener)
            self.changed.wait_for(lambda: self.left or len(ports) >= len(form.members) - 1, timeout=5)
            self.check(form)
        for rank, peer in enumerate(form.members[: form.rank]):
            self.sockets.append(socket.create_connection((peer.address, ports[str(rank)]), timeout=5))
        for _ in form.members[form.rank + 1 :]:
            self.sockets.append(listener.accept()[0])
        self.sockets.remove(listener)
        listener.close()
        for sock in self.sockets:
            sock.settimeout(None)

    def round(self, form: Form, what: str, step: int) -> bool:
        """Say it to all and hear it from all; whether any of them asks to stop after this step."""
        word = f"{what} {step} {int(self.reform)}".encode().ljust(32)
        asked = self.reform
        for sock in self.sockets:
            sock.sendall(word)
        for sock in self.sockets:
            heard = b""
            while len(heard) < 32:
                piece = sock.recv(32 - len(heard))
                if not piece:
                    raise Left("a member closed its connection")
                heard += piece
            said, number, flag = heard.decode().split()
            assert (said, int(number)) == (what, step), f"{heard!r} where {word!r} was said"
            asked = asked or flag == "1"
        return asked

    # --- state for newcomers

    def serve_state(self) -> None:
        address = (os.environ["EDGETRAIN_POD_IP"], int(os.environ["EDGETRAIN_STATE_PORT"]))
        server = socket.create_server(address)
        while True:
            sock, _ = server.accept()
            with self.changed:
                self.followers.append(sock)
            self.tell_followers()

    def tell_followers(self) -> None:
        line = json.dumps(asdict(replace(self.position, prepared=None))).encode() + b"\n"
        for sock in list(self.followers):
            try:
                sock.sendall(line)
            except OSError:
                self.followers.remove(sock)

    def fetch(self, address: str, port: int) -> None:
        first = True
        with socket.create_connection((address, port), timeout=5) as sock, sock.makefile() as lines:
            for line in lines:
                document = json.loads(line)
                name = document["formation"] and FormationId(*document["formation"])
                with self.changed:
                    if not self.left:
                        return
                    self.position = Position(history_from(document["history"]), name, document["committed"])
                    step = self.position.committed
                    self.link.send(CaughtUp(self.position) if first else Progress(name, "apply", step))
                first = False


if __name__ == "__main__":
    FakeTrainer(Path(sys.argv[1]), int(sys.argv[2])).run()
