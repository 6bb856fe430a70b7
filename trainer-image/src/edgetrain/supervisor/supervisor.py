"""One worker's supervisor: starts the program, keeps it in its group, reports, and knows when to end."""

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from edgetrain.fleet_settings import FleetSettings
from edgetrain.group.members import Member
from edgetrain.link import RESTART_STATUS, Finished, Message, Progress, Ready, Stop
from edgetrain.rundir import FINISHING_FILE, ask_for_reports
from edgetrain.supervisor import orphans
from edgetrain.supervisor.cgroup import Killings
from edgetrain.supervisor.disk import BadDisk
from edgetrain.supervisor.disk_writer import DiskWriter
from edgetrain.supervisor.fact_recorder import FactRecorder
from edgetrain.supervisor.group_shell import GroupShell
from edgetrain.supervisor.holder_process import HolderProcess
from edgetrain.supervisor.last_waits import LastWaits
from edgetrain.supervisor.metrics import Metrics
from edgetrain.supervisor.outlook import outlook
from edgetrain.supervisor.plans import FilePlans, FleetPlans
from edgetrain.supervisor.program import CannotStart, Program
from edgetrain.supervisor.program_files import ProgramFiles
from edgetrain.supervisor.reporter import Reporter
from edgetrain.supervisor.settings import Settings
from edgetrain.supervisor.sources import Sources
from edgetrain.supervisor.termination_log import leave_word
from edgetrain.supervisor.training import is_news, training_part
from edgetrain_protocol.names import DISK_EXIT_STATUS, NEVER_FAILURES
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import PROGRAM_DIFFERS, TrainingPart
from edgetrain_protocol.signed_plan import SignedPlan

log = logging.getLogger(__name__)

STARTS, STARTS_SECONDS = 5, 600.0
"""So often a program ended by a signal is started again in this pod; then the pod fails."""
DRAIN_SECONDS, PROGRESS_SECONDS = 10.0, 0.25


class Supervisor:
    """Made and run inside the loop."""

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self._settings, self._command = settings, command
        self._loop = asyncio.get_running_loop()
        self._disk = DiskWriter(settings.state_dir, settings.run_dir)
        self._killings = Killings()
        self._files = ProgramFiles(command, settings.program_dir)
        self._metrics = Metrics()
        self._recorder = FactRecorder(self._metrics, self._disk.save_beat)
        self._facts = self._recorder.facts
        self._sources = Sources(settings.remote, settings.program_dir, self._facts, self._changed)
        self._program: Program | None = None
        self._member: Member | None = None
        self._stopping: str = ""
        self._wake = asyncio.Event()
        """Something was decided that the main line of life waits for."""
        self._told: TrainingPart | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._reporter: Reporter | None = None
        self._plans: FleetPlans | FilePlans | None = None
        self.shell = GroupShell(settings, self._disk, self._tell, self._changed)
        self._holder = HolderProcess(settings, lambda: self.shell.plan, self._changed)
        self._last_waits = LastWaits(self.shell.group, self._wake, settings.remote.pushes_model)

    async def run(self) -> int:
        """Run the program to its end; returns the exit status of the container."""
        self._metrics.serve(self._settings.metrics_port)
        (self._settings.run_dir / FINISHING_FILE).unlink(missing_ok=True)
        group = asyncio.create_task(self.shell.run(), name="group")
        deeds = (self._follow_stop(), self._report_on(), self._holder.run())
        background = [asyncio.create_task(deed) for deed in deeds]
        self._connect()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, "asked to end by a signal")
        life = asyncio.create_task(self._live(), name="life")
        try:
            await _first_to_end(life, group, *background)
            return await self._serve_on(await life)
        except BadDisk as error:
            return self._failed(error.reason, str(error), DISK_EXIT_STATUS)
        finally:
            await self._wind_up()
            for task in (group, life, *background):
                task.cancel()

    # --- the program's life

    async def _live(self) -> int:
        starts: deque[float] = deque(maxlen=STARTS)
        ended = ""
        failed = await self._sources.fetch()
        if failed:
            return self._failed(failed.reason, failed.error)
        while not self._stopping:
            if len(starts) == STARTS and time.monotonic() - starts[0] < STARTS_SECONDS:
                text = f"ended {STARTS} times in {STARTS_SECONDS:g} s, at last by {ended}"
                return self._failed("ProgramFailed", text)
            starts.append(time.monotonic())
            status, program = await self._run_once()
            if status is None:
                return 1
            if self._facts.finished or self._stopping or status == 0:
                return self._ended_well(status)
            if status != RESTART_STATUS and status > 0:
                return self._failed(*self._last_words(program, status), container_code(status))
            if status == -signal.SIGKILL and (memory := self._killings.new()):
                return self._failed("OutOfMemory", f"the kernel killed the program for memory: {memory}")
            if status == RESTART_STATUS:
                ended = "its own wish, for another state than it could go on from"
            elif status < 0:
                ended = f"{signal.Signals(-status).name}: {program.last_words.spoken}"
                log.warning("the program was ended by %s: starting it again", signal.Signals(-status).name)
        return 0  # It was not even started.

    async def _run_once(self) -> tuple[int | None, Program]:
        orphans.collect()
        program = Program(self._heard, self._sources.env)
        member = Member(self._settings.worker, self._settings.pod_uid, program.incarnation)
        self._program, self._member, self._facts.incarnation = program, member, program.incarnation
        await self._disk.save_member(member)
        # What the last process had come to, this one has not.
        self._facts.progress, self._facts.program = None, await self._files.note()
        self._facts.started_at = self._loop.time()
        self._metrics.trainer_starts.inc()
        self._changed()
        try:
            status = await program.run(self._command, self.shell.hung)
        except CannotStart as error:
            self._failed("CommandNotFound", str(error))
            return None, program
        self._program = self._member = None
        self.shell.ended(member)
        return status, program

    def _ended_well(self, status: int) -> int:
        if not self._facts.finished and not self._stopping:
            log.info("the program ended without session.save")
            self._facts.finished = True
        self._changed()
        return 0 if self._facts.finished or self._stopping else max(status, 0)

    def _last_words(self, program: Program, status: int) -> tuple[str, str]:
        if self._facts.error_reason and self._facts.error:  # as the engine put it
            return self._facts.error_reason, self._facts.error
        killed = f" (the kernel killed a part of it for memory: {m})" if (m := self._killings.new()) else ""
        return "ProgramFailed", f"the program ended with status {status}{killed}: {program.last_words.spoken}"

    def _failed(self, reason: str, text: str, status: int = 1) -> int:
        log.error("%s: %s", reason, text)
        self._facts.error_reason, self._facts.error = reason, text[:4000]
        self._facts.exit_code = status
        leave_word(f"{reason}: {text}")
        self._changed()
        return status

    async def _serve_on(self, status: int) -> int:
        """Others may rely on what this pod holds, until the operator says that the job is over."""
        while status == 0 and self._holder.wanted and not self._stopping:
            await self._last_waits.until(lambda: bool(self._stopping), 1.0)
        return status

    # --- what the program says

    def _heard(self, message: Message) -> None:
        self._recorder.heard(message, self._loop.time())
        match message:
            case Ready(layout, _, _):
                if self._member:
                    self.shell.ready(self._member, layout, self._facts.program)
                return
            case Finished():
                self.shell.finished()
                self._wake.set()
        self.shell.said(message)
        if not isinstance(message, Progress):
            self._changed()
        elif not self._telling:  # Many times a step: told together.
            self._telling = self._loop.call_later(PROGRESS_SECONDS, self._changed)

    def _tell(self, message: Message) -> None:
        if self._program:
            self._program.send(message)

    # --- reports and plans

    def _connect(self) -> None:
        if self._settings.plan_file:
            self._plans = FilePlans(self._settings.plan_file, self._hold)
        else:
            fleet = FleetSettings.from_env()
            self._reporter = Reporter(self._settings, fleet, self._gone)
            self._reporter.start()
            self._plans = FleetPlans(fleet, self._disk.kept.plan(), self._hold, self._gone)
        self._plans.start()

    def _hold(self, plan: SignedPlan) -> None:
        """By the plans' thread."""
        self._loop.call_soon_threadsafe(self.shell.hold, plan)

    def _gone(self) -> None:
        """By any thread: the operator says that this pod is over."""
        self._loop.call_soon_threadsafe(self._stop, "the operator says that this pod is over")

    def _changed(self) -> None:
        """Tell the operator at once what it acts on; the rest goes with the next report."""
        group, self._facts.holder = self.shell.group, self._holder.part
        self._facts.log_disk = self._holder.disk
        if self._telling:
            self._telling.cancel()
            self._telling = None
        now = self._loop.time()
        self._facts.note(group.status.stage, now)
        way = outlook(group, now)
        part = training_part(group.status, self._facts, group.plan, group.word, group.statuses, now, way)
        if self._reporter:
            self._reporter.tell(part, at_once=is_news(part, self._told))
        self._told = part
        self._metrics.on_part(part)
        self._wake.set()
        if self._member and group.is_over(self._member):
            self._kill()  # It is of another group now, and has to start anew.

    async def _report_on(self) -> None:
        """States change with time too: a group that stays broken is paused."""
        while True:
            await asyncio.sleep(1.0)
            self._recorder.looked_at_disk(gone=self._disk.look(), silent=self._disk.silent)
            self._changed()
            if self._told and self._told.error_reason == PROGRAM_DIFFERS and await self._files.changed():
                self._kill()  # For a fresh start.

    # --- the end

    def _stop(self, why: str) -> None:
        if not self._stopping:
            log.info("stopping: %s", why)
            self._stopping = why
            self._sources.stop()
            self._tell(Stop())
            self._loop.call_later(self._settings.stop_seconds, self._kill)
            self._wake.set()

    def _kill(self) -> None:
        if self._program:
            self._program.signal(signal.SIGKILL)

    async def _follow_stop(self) -> None:
        """End the program when the plan says stop, or when all have finished."""
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            plan = self.shell.plan
            if plan and plan.phase is Phase.STOP:
                await self._last_waits.boundary(plan.revision)
                self._stop("the plan says stop")
            elif self._facts.finished and self._program and not self._holder.wanted:
                await self._last_waits.all_finished(or_if=lambda: bool(self._stopping))
                self._stop("training is over")

    async def _wind_up(self) -> None:
        """Deliver what is known, and let the profiler deliver what it knows."""
        self._changed()
        if self._reporter:
            await asyncio.to_thread(self._reporter.drain, DRAIN_SECONDS if not self._stopping else 2.0)
            self._reporter.close()
        if self._plans:
            self._plans.close()
        if self._facts.finished:
            await self._drain_profiler()

    async def _drain_profiler(self) -> None:
        try:
            drained = ask_for_reports(self._settings.run_dir)
        except OSError as error:
            log.warning("cannot tell the profiler to hand over its reports: %s", error)
            return
        await self._last_waits.until(drained.exists, DRAIN_SECONDS + 2)


async def _first_to_end(life: asyncio.Task[int], *beside: asyncio.Task[None]) -> None:
    """Until `life` has. What the others raise is raised: nobody must live on in part."""
    going: set[asyncio.Task[Any]] = {life, *beside}
    while not life.done():
        ended, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {life}:
            task.result()


def container_code(status: int) -> int:
    """The container's: that of its program, but for those by which a container was ended from outside."""
    return 1 if status in NEVER_FAILURES else status
