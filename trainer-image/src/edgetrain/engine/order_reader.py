"""What the supervisor orders: noted, or done at once, by a thread of its own that waits for nobody."""

import threading
from collections.abc import Callable

from edgetrain.engine.monitor import held
from edgetrain.engine.stepping import StepEngine
from edgetrain.link import (
    Fetch,
    Finish,
    Form,
    Halt,
    Hold,
    Link,
    Message,
    Ping,
    Pong,
    Reform,
    Start,
    Started,
    Stop,
    StoreSet,
    TryLinks,
)


def read_orders(link: Link, stepping: StepEngine, send: Callable[[Message], None]) -> None:
    """Begin to read."""
    reader = _OrderReader(link, stepping, send)
    threading.Thread(target=reader.read, name="link", daemon=True).start()


class _OrderReader:
    def __init__(self, link: Link, stepping: StepEngine, send: Callable[[Message], None]) -> None:
        self._link, self._stepping, self._send = link, stepping, send
        self._monitor, self._orders, self._replica = stepping.monitor, stepping.orders, stepping.replica

    def read(self) -> None:
        for message in self._link.receive():
            self._obey(message)
        with self._monitor:
            self._orders.closed = True
            self._stepping.formations.leave()

    def _obey(self, message: Message) -> None:
        formations = self._stepping.formations
        match message:
            case Ping():
                self._send(Pong())
            case Form():
                formations.form(message)
            case Halt():
                formations.halt(message)
            case StoreSet():
                formations.store_set(message)
            case TryLinks():
                formations.try_links(message)
            case _:
                with self._monitor:
                    self._note(message)
                    self._monitor.notify_all()

    @held
    def _note(self, message: Message) -> None:
        match message:
            case Start(keep=True) if self._replica.in_sync:
                # At once, also in the middle of a step: nothing of the state changes.
                self._stepping.keep_on(message.history)
                self._send(Started(self._replica.position))
            case Start():
                self._replica.begun = False
                self._orders.start = message
            case Fetch():
                self._replica.begun = False
                self._stepping.formations.leave()
                self._stepping.catch_up.follow(message.donor, self._replica.usable)
            case Reform():
                self._orders.reform = True
            case Hold():
                self._orders.hold_revision = message.revision
            case Finish(wanted):
                self._orders.finish = wanted
            case Stop():
                self._orders.stop = True
