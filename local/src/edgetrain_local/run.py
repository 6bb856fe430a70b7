"""One run from its start to its end: nodes, an operator for them, and a person who watches."""

import logging
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from edgetrain_local.errors import RunError
from edgetrain_local.keep import Kept, alone_in
from edgetrain_local.keys import Keys
from edgetrain_local.local_operator import Operator
from edgetrain_local.node import Node, alone_on, threads
from edgetrain_local.processes import adopt_orphans, end_all
from edgetrain_local.said import Said
from edgetrain_local.screen import Screen
from edgetrain_local.throttle import Throttle
from edgetrain_local.wires import HUB, Wires
from edgetrain_local.wish import Wish, WorkerWish
from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.lifecycle import is_over
from edgetrain_protocol.names import Env
from edgetrain_protocol.status import ConditionType, JobStatus

POLL_SECONDS = 0.05
END_SECONDS = 20.0
"""For workers to end by themselves once all is over."""
LOOPBACK = "127.0.0.1"
STOP_KEY = "q"
AT_ONCE = 2
"""Asked so often, it does not wait for workers."""

IN_OUR_WORDS = {
    "runPolicy.backoffLimit": "--retries",
    "spec.nodes.min": "--min",
    "spec.storage.model": "--model",
    "spec.storage.checkpoint": "--dir",
}
"""What a person has set here, by what the operator calls it."""


class Run:
    def __init__(
        self, nodes: Mapping[str, Node], operator: Operator, screen: Screen, keys: Keys, said: Said
    ) -> None:
        self._nodes, self._operator, self._screen, self._keys = nodes, operator, screen, keys
        self._said = said
        self._asked = 0

    def to_its_end(self) -> JobStatus:
        """Until the job is over, or was stopped; returns what was last known of it."""
        while not is_over(self._operator.status) and self._asked < AT_ONCE:
            idle = self._turn()
            if self._asked and not self._operator.suspend:
                self._screen.tell("stopping at the next boundary; Ctrl-C ends it at once", "bold")
                self._operator.suspend = True
            elif self._asked and idle:
                break
        self._let_end()
        return self._operator.status

    def ask_to_stop(self) -> None:
        """By a key or a signal, which may come at any moment: seen at the next turn."""
        self._asked += 1

    def _turn(self) -> bool:
        """A look at everything; True once nothing runs."""
        changed = [node.poll(time.monotonic()) for node in self._nodes.values()]
        self._operator.look(any(changed))
        self._pass_on()
        self._screen.show(self._operator.status)
        for key in self._keys.pressed(POLL_SECONDS):
            self._press(key)
        return not any(node.pods for node in self._nodes.values() if node.on)

    def _press(self, key: str) -> None:
        if key == STOP_KEY:
            self.ask_to_stop()
        elif key.isdigit() and (node := self._nodes.get(f"edge-{key}")):
            self._screen.tell(f"{node.name}: power {'off' if node.on else 'on'}", "bold")
            node.switch()

    def _let_end(self) -> None:
        """Workers end by themselves; where a program has failed, the others are not waited for."""
        seconds = END_SECONDS if holds(self._operator.status, ConditionType.COMPLETE) else 0.0
        until = time.monotonic() + seconds
        while time.monotonic() < until and not all(
            pod.over for node in self._nodes.values() if node.on for pod in node.pods
        ):
            self._turn()
        for node in self._nodes.values():
            node.end()
        time.sleep(POLL_SECONDS)
        self._pass_on()

    def _pass_on(self) -> None:
        """What programs have printed: their readers are threads, and the screen is for one."""
        for node, line in self._said.lines():
            self._screen.line(node, line)


def run(wish: Wish, directory: Path) -> int:
    """Run it; returns the command's exit status.

    Raises:
        RunError: what was asked for cannot be done here.
    """
    with alone_in(directory):
        kept = Kept.of(directory, wish.command)
        if holds(kept.status, ConditionType.COMPLETE):
            raise RunError(
                f"the run in {directory} is complete: remove it to begin anew, or give another --dir"
            )
        logging.basicConfig(
            filename=directory / "operator.log",
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
            level=logging.INFO,
        )
        adopt_orphans()
        began = time.monotonic()
        try:
            with _running(wish, kept.tried_again() if is_over(kept.status) else kept) as (one, screen):
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, lambda *_: one.ask_to_stop())
                return _last_words(one.to_its_end(), screen, time.monotonic() - began)
        finally:
            end_all()


@contextmanager
def _running(wish: Wish, kept: Kept) -> Iterator[tuple[Run, Screen]]:
    said = Said()
    with ExitStack() as stack:
        wires = Wires() if wish.shaped else None
        if wires:
            stack.callback(wires.close)
        nodes = {
            worker.node: _node(wish, worker, number, kept.directory, wires, said)
            for number, worker in enumerate(wish.workers, 1)
        }
        for node in nodes.values():
            stack.callback(node.end)
            if throttle := _throttle(node):
                throttle.start()
                stack.callback(throttle.close)
        screen = stack.enter_context(Screen(list(nodes)))
        keys = stack.enter_context(Keys())
        operator = Operator(wish, kept, nodes, HUB if wires else LOOPBACK, lambda event: _tell(screen, event))
        operator.start()
        stack.callback(operator.stop)
        yield Run(nodes, operator, screen, keys, said), screen


def _throttle(node: Node) -> Throttle | None:
    share = node.wish.cpu
    return None if share is None or share >= 1 else Throttle(share, lambda: node.trainer_pid)


def _node(
    wish: Wish,
    worker: WorkerWish,
    number: int,
    directory: Path,
    wires: Wires | None,
    said: Said,
) -> Node:
    own = directory / worker.node
    own.mkdir(exist_ok=True)
    place = wires.place(worker, number, own) if wires else alone_on(number, own)
    env: dict[str, str] = {**threads(len(wish.workers)), Env.MODEL_DIR: str(wish.models)}
    if wish.data:
        env[Env.DATA_DIR] = str(wish.data_of(worker.node))
    program = (sys.executable, "-P", "-m", "edgetrain_local.tied", *wish.command)
    return Node(worker, replace(place, env=env, program=program), said.put)


def _tell(screen: Screen, event: Event) -> None:
    if event.reason == "SuspendRequested":
        return  # As it was asked for; how it goes on is said in the end.
    text = event.message
    for theirs, ours in IN_OUR_WORDS.items():
        text = text.replace(theirs, ours)
    first, *rest = text.splitlines() or [""]
    # A program has just printed its own last words whole.
    text = f"{first} ... {rest[-1].strip()}" if rest else first
    screen.tell(f"{event.reason}: {text}", "bold red" if event.type == "Warning" else "bold")


def _last_words(status: JobStatus, screen: Screen, seconds: float) -> int:
    if not is_over(status):
        screen.tell("stopped; with --dir the same command goes on from the last checkpoint", "bold")
        return 130
    if not holds(status, ConditionType.COMPLETE):
        return 1
    if not status.progress.step:
        screen.tell(
            "the script trained nothing: see docs/programs.md for the lines that it needs", "bold red"
        )
        return 1
    _, _, model = (status.model or "").partition(":")
    said = f"; model: {model}" if model else "; it saved no model"
    screen.tell(f"complete after {status.progress.step:,} steps and {seconds:.0f} s{said}", "bold green")
    return 0


def holds(status: JobStatus, kind: ConditionType) -> bool:
    return any(c.type == kind and c.status == "True" for c in status.conditions)
