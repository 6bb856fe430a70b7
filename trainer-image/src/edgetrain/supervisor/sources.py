"""What the job names by an address, had before its program starts."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgetrain.remote.orders import Done, Failed, FetchSource, GotOn, Waits
from edgetrain.supervisor.facts import Facts
from edgetrain.supervisor.remote_process import RemoteProcess
from edgetrain.supervisor.remote_settings import Remote, RemoteSettings
from edgetrain_protocol.names import Env

log = logging.getLogger(__name__)


@dataclass
class Sources:
    """Of the loop's thread. `changed` is called when the facts have changed."""

    settings: RemoteSettings
    program_dir: Path
    facts: Facts
    changed: Callable[[], None]
    env: dict[str, str] = field(default_factory=dict)
    """Where the program finds what was fetched."""
    _process: RemoteProcess = field(default_factory=RemoteProcess)
    _stopped: bool = False

    async def fetch(self) -> Failed | None:
        """All of them, one after another; returns why one cannot be had."""
        for field_name, order, use in self._wishes():
            failed = await self._fetch(field_name, order, use)
            if failed or self._stopped:
                return failed
        return None

    def stop(self) -> None:
        self._stopped = True
        self._process.stop()

    def _wishes(self) -> Iterator[tuple[str, FetchSource, Callable[[Done], None]]]:
        settings = self.settings
        if settings.program:
            # A name that is none of the program's own, wherever its files are looked for.
            cache = str(self.program_dir / "..fetched")
            order = _order(settings.program, cache, beside=str(self.program_dir))
            yield "spec.program.source", order, lambda done: None
        if settings.data:
            yield "spec.storage.data", _order(settings.data, str(settings.data_dir)), self._use_data

    async def _fetch(self, field_name: str, order: FetchSource, use: Callable[[Done], None]) -> Failed | None:
        self._say(f"fetching {field_name}")
        log.info("fetching %s", field_name)

        def heard(said: GotOn | Waits | Done) -> None:
            match said:
                case GotOn(count):
                    self.facts.warnings.clear()
                    self._say(f"fetching {field_name}, {_coarse(count)} so far")
                case Waits(reason, error):
                    self._warn(reason, error)
                case Done():
                    use(said)

        found = await self._process.carry_out(order, heard)
        self.facts.warnings.clear()
        self._say("")
        return found if isinstance(found, Failed) and not self._stopped else None

    def _use_data(self, done: Done) -> None:
        """Kept from those who make room, for as long as this process lives."""
        fcntl.flock(os.open(done.lock, os.O_RDWR), fcntl.LOCK_SH)
        self.env[Env.DATA_DIR] = done.path

    def _warn(self, reason: str, error: str) -> None:
        log.warning("%s: %s", reason, error)
        self.facts.warnings = {reason: error}
        self.changed()

    def _say(self, text: str) -> None:
        if text != self.facts.fetching:
            self.facts.fetching = text
            self.changed()


def _order(remote: Remote, root: str, beside: str = "") -> FetchSource:
    return FetchSource(remote.uri, root, remote.sha256, remote.keys, beside)


def _coarse(count: int) -> str:
    """To one digit: each other text is written to the job's status."""
    mebibytes = count >> 20
    scale = 10 ** max(len(str(mebibytes)) - 1, 0)
    return f"{mebibytes // scale * scale} MiB"
