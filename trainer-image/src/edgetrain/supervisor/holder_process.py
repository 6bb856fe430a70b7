"""The holder of the log of rounds beside this supervisor, where the plan names one: started, told, ended."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from edgetrain.aggregator.charge import Charge, HolderShown
from edgetrain.group.members import Pod
from edgetrain.link import HolderAddress
from edgetrain.rounds.agreed import Agreed
from edgetrain.supervisor.log_disk import LogDisk
from edgetrain.supervisor.settings import Settings
from edgetrain_protocol.plan import Phase, Plan, Rounds
from edgetrain_protocol.rounds_report import HolderPart

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
START_AGAIN_SECONDS = 2.0
"""After it has ended."""
END_SECONDS = 5.0


def charge_of(rounds: Rounds) -> Charge:
    """What the plan says to each of its holders."""
    line = {h.name: HolderAddress(h.worker, h.address, h.port) for h in rounds.holders}
    return Charge(line, rounds.founder, rounds.groups, Agreed(**dict(rounds.settings)))


def name_in(plan: Plan | None, pod: Pod) -> str:
    """By which the plan names this pod's disk; empty where it is to hold nothing."""
    rounds = plan.rounds if plan and plan.phase is not Phase.STOP else None
    holders = rounds.holders if rounds else ()
    return next((h.name for h in holders if (h.worker, h.pod_uid) == (pod.worker, pod.uid)), "")


class HolderProcess:
    """Of the loop's thread."""

    def __init__(
        self, settings: Settings, plan: Callable[[], Plan | None], changed: Callable[[], None]
    ) -> None:
        self._settings, self._plan, self._changed = settings, plan, changed
        self._pod = Pod(settings.worker, settings.pod_uid)
        self._process: Process | None = None
        self._name = ""
        """Of the one that was started."""
        self._told: Charge | None = None
        self._start_at = 0.0
        self._down = ""
        """Why it shows nothing."""
        self._log_disk = LogDisk(settings.checkpoint_dir, settings.credentials.job_uid, settings.worker)
        self.disk = ""
        """Identity of the one that it keeps a log on; empty until it is known."""
        self.part: HolderPart | None = None
        """What it has shown; None where there is none."""

    @property
    def wanted(self) -> bool:
        """Whether others rely on this pod, whatever becomes of its own program."""
        return bool(name_in(self._plan(), self._pod))

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()

        def told(disk: str) -> None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(self._know, disk)

        self._log_disk.identify(told)
        try:
            while True:
                try:
                    await self._look(name_in(self._plan(), self._pod))
                except OSError as error:
                    log.warning("the holder of the log of rounds: %s", error)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._end()

    async def _look(self, name: str) -> None:
        if self._process and (self._process.returncode is not None or name != self._name):
            await self._end()
        if name:
            self._tell(name)
            if self._told:
                await self._keep_running(name)
        self._show(name)

    def _tell(self, name: str) -> None:
        plan = self._plan()
        assert plan and plan.rounds
        if not plan.rounds.groups:
            return  # One that speaks of no group was made for others: with it all would be over.
        charge = charge_of(plan.rounds)
        if charge != self._told or name != self._name:
            directory = self._directory(name)
            directory.mkdir(parents=True, exist_ok=True)
            charge.write(directory)
            self._told = charge

    async def _keep_running(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._process or now < self._start_at:
            return
        self._name, self._start_at = name, now + START_AGAIN_SECONDS
        command = [sys.executable, "-m", "edgetrain.aggregator", "--directory", str(self._directory(name))]
        where = ["--log", str(self._log_disk.directory(name)), "--port", str(self._settings.rounds_port)]
        more = ["--name", name, "--attended"]
        self._process = await asyncio.create_subprocess_exec(*command, *where, *more, stdin=PIPE)

    def _show(self, name: str) -> None:
        shown = HolderShown.read(self._directory(name)) if name else None
        part = HolderPart(name=name, trouble=self._down) if name else None
        if shown:
            told = structs.replace(shown, trouble=shown.trouble[:4000])
            part = HolderPart(name=name, **structs.asdict(told))
        if part != self.part:
            self.part = part
            self._changed()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is not None:
            self._down = f"its process has ended with status {process.returncode}: see the log of its pod"
            log.warning("the holder of the log of rounds: %s", self._down)
            HolderShown.forget(self._directory(self._name))
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), END_SECONDS)
            except TimeoutError:
                process.kill()

    def _know(self, disk: str) -> None:
        self.disk = disk
        self._changed()

    def _directory(self, name: str) -> Path:
        """For what they tell each other: on the pod's own disk, where it does not hold this loop up."""
        return self._settings.state_dir / "rounds" / name
