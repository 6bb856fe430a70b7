"""What a remote store holds of a job's checkpoints, as far as one member has to do with it.

All of it beside training: by processes of edgetrain.remote's, and threads that wait for them.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from edgetrain.engine.errors import BadCheckpoint
from edgetrain.engine.settings import RemotePlace
from edgetrain.engine.state.manifest import Manifest
from edgetrain.link import Mended, Message, StoreRead, Transferring, Warned
from edgetrain.remote.orders import Failed, GotOn, ListCheckpoints, PushCheckpoint, RestoreCheckpoint, Waits
from edgetrain.remote.process import RemoteProcess

NOT_PUSHED = "CheckpointNotPushed"


class RemoteCopies:
    """Methods may be called by any thread."""

    def __init__(
        self, place: RemotePlace, directory: Path, address: str, send: Callable[[Message], None]
    ) -> None:
        """`directory`: for what the store says of them, and the data of those that were restored."""
        self._place, self._directory, self._address, self._send = place, directory, address, send
        self._lock = threading.Lock()
        self._process = RemoteProcess()
        self._newest: Path | None = None
        self._pushing: threading.Thread | None = None
        self._looking: threading.Thread | None = None
        self._warned: set[str] = set()
        self._flushing = False

    def look(self, then: Callable[[], None]) -> None:
        """Begin to have the store say what it holds; `then` is called once it has."""

        def looks() -> None:
            order = ListCheckpoints(self._place.uri, self._place.keys, str(self._directory))
            said = RemoteProcess().carry_out(order, self._warn)
            if isinstance(said, Failed):
                self._send(
                    Warned(said.reason, f"checkpoints in the remote store cannot be seen: {said.error}")
                )
                return
            self._excuse()
            then()
            self._send(StoreRead())

        self._looking = threading.Thread(target=looks, name="store", daemon=True)
        self._looking.start()

    def wait_until_seen(self) -> None:
        """Until the store has said what it holds, or was found to be of no use."""
        if self._looking:
            self._looking.join()

    def restore(self, saved: Manifest) -> None:
        """Have its data here.

        Raises:
            BadCheckpoint: they cannot be had.
        """

        def heard(said: GotOn | Waits) -> None:
            if isinstance(said, GotOn):
                self._send(Transferring())
            self._warn(said)

        order = RestoreCheckpoint(self._place.uri, self._place.keys, str(saved.path.with_suffix(".json")))
        said = RemoteProcess().carry_out(order, heard)
        if isinstance(said, Failed):
            raise BadCheckpoint(f"checkpoint {saved.path.stem} cannot be restored: {said.error}")
        self._excuse()

    def push(self, saved: Manifest) -> None:
        """Begin to, after the one that is on its way; of several that wait the newest goes."""
        with self._lock:
            self._newest = saved.path.with_suffix(".json")
            if self._pushing is None:
                self._pushing = threading.Thread(target=self._push_on, name="pusher", daemon=True)
                self._pushing.start()

    def flush(self) -> None:
        """Have the store hold the newest, without pauses; given up where it does not answer."""
        self._flushing = True
        self._process.stop()
        if pushing := self._pushing:
            pushing.join()
        if self._newest:
            self._push_one(RemoteProcess(), self._newest, "")

    def _push_on(self) -> None:
        while newest := self._next():
            done = self._push_one(self._process, newest, self._address)
            with self._lock:
                if not done:
                    self._pushing = None
                    return  # The next one that is saved tries again.
                if self._newest == newest:
                    self._newest = None

    def _next(self) -> Path | None:
        with self._lock:
            if self._newest is None:
                self._pushing = None
            return self._newest

    def _push_one(self, process: RemoteProcess, manifest: Path, address: str) -> bool:
        """Whether the store holds it now."""
        why = ""

        def heard(said: GotOn | Waits) -> None:
            nonlocal why
            self._warn(said)
            if isinstance(said, Waits):
                why = said.error
                if self._flushing:
                    process.stop()

        order = PushCheckpoint(self._place.uri, self._place.keys, str(manifest), address)
        said = process.carry_out(order, heard)
        if not isinstance(said, Failed):
            self._excuse()
        elif process is not self._process or not self._flushing:
            self._warned.add(NOT_PUSHED)
            self._send(Warned(NOT_PUSHED, f"{manifest.stem} is not in the remote store: {why or said.error}"))
        return not isinstance(said, Failed)

    def _warn(self, said: GotOn | Waits) -> None:
        """Of what goes on by itself, once it can."""
        if isinstance(said, Waits):
            self._warned.add(said.reason)
            self._send(Warned(said.reason, said.error))

    def _excuse(self) -> None:
        for reason in list(self._warned):
            self._warned.discard(reason)
            self._send(Mended(reason))
