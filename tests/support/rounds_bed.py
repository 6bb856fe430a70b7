"""Processes of rounds on loopback: holders, and groups of one worker each (`rounds_program`)."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.waiting import wait_for
from edgetrain.aggregator.charge import Charge
from edgetrain.aggregator.client import HolderAway, HolderClient, HolderRefuses
from edgetrain.aggregator.seat import Seat, Shown
from edgetrain.link import HolderAddress
from edgetrain.payload.codec import Floats
from edgetrain.rounds.agreed import USUAL, Agreed
from edgetrain.rounds.entries import Body, Council, Merge
from edgetrain_local.ports import free_port
from edgetrain_protocol.history import History
from edgetrain_protocol.names import Env
from tests.support.identities import JOB, credentials, write_identity

PROGRAM = Path(__file__).with_name("rounds_program.py")
END_SECONDS = 120.0
NOBODY = History(1, "nobody", 1)
GROUPS = ("a", "b", "c", "d", "nobody")


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    result: Path
    words: Path
    """What it has said."""

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def said(self, what: str) -> bool:
        return what in self.words.read_text()

    def finished(self) -> Floats:
        """The parameters that it ends with."""
        self.ended()
        theta: Floats = np.load(self.result)
        return theta

    def ended(self) -> None:
        """Wait until it has, as it should."""
        code = self.process.wait(END_SECONDS)
        assert code == 0, self.words.read_text()


@dataclass
class RoundsBed:
    directory: Path
    samples: int = 400
    epochs: int = 1
    batch: int = 8
    holders: int = 1
    local_steps: int = 4
    agreed: Agreed = USUAL
    ports: dict[str, int] = field(default_factory=dict)
    """Of the holders, h1 and so on."""
    starts: int = 0
    running: dict[str, Running] = field(default_factory=dict)
    """Holders that are."""
    started: list[Running] = field(default_factory=list)

    def start(self) -> None:
        """All holders, of whom the first founds the log."""
        self.ports = {f"h{number + 1}": free_port() for number in range(self.holders)}
        for name in self.ports:
            self.tell(name, self.charge())
            self.start_holder(name)

    def charge(self) -> Charge:
        """What the plan says: of each group any of its processes may speak, and a client of a test's."""
        line = {name: HolderAddress(name, "127.0.0.1", port) for name, port in self.ports.items()}
        groups = {group: (group, *(f"{group}-{n}" for n in range(1, 4)), "w") for group in GROUPS}
        return Charge(line, "h1", groups, self.agreed)

    def tell(self, holder: str, charge: Charge) -> None:
        self._kept_in(holder).mkdir(exist_ok=True)
        charge.write(self._kept_in(holder))

    def start_holder(self, name: str = "h1") -> None:
        """Continues from its directory, at the port that it had."""
        where = ["--directory", str(self._kept_in(name)), "--log", str(self._log_of(name))]
        where += ["--port", str(self.ports[name])]
        holder = self._start(name, ["-m", "edgetrain.aggregator", "--name", name, *where])
        listening = f"listens on port {self.ports[name]}"
        before = holder.words.read_text().count(listening)
        wait_for(lambda: holder.words.read_text().count(listening) > before, 60.0, holder.words.read_text)
        self.running[name] = holder

    def kill_holder(self, name: str = "h1") -> None:
        self.running.pop(name).kill()

    def start_group(
        self, name: str, generation: int = 1, step_seconds: float = 0.01, port: int = 0
    ) -> Running:
        """`port`: of what is between it and the holder, where there is something."""
        values = {
            "samples": self.samples,
            "epochs": self.epochs,
            "generation": generation,
            "batch": self.batch,
            "local-steps": self.local_steps,
            "group": name,
            "step-seconds": step_seconds,
            **({"holders": f"h1:{port}"} if port else {}),
        }
        return self.start_program(PROGRAM, f"{name}-{generation}", values, ".npy")

    def start_program(
        self, program: Path, name: str, values: Mapping[str, object], result_suffix: str
    ) -> Running:
        """A group's, which is told where the holders are, what it waits for, and where its result goes."""
        result = self.directory / f"{name}{result_suffix}"
        holders = ",".join(f"{name}:{port}" for name, port in self.ports.items())
        given = {"holders": holders, "go": self.directory / "go", "result": result, **values}
        arguments = [text for key, value in given.items() for text in (f"--{key}", str(value))]
        return self._start(name, [str(program), *arguments], result)

    def go(self, *groups: Running) -> None:
        """Once all of these are on the books: so each update counts one part in as many."""
        wait_for(lambda: all(group.said("begun") for group in groups), 60.0, "groups that begin")
        (self.directory / "go").touch()

    def client(self, worker: str = "w") -> HolderClient:
        """Of another pod of the job."""
        addresses = [HolderAddress(name, "127.0.0.1", port) for name, port in self.ports.items()]
        return HolderClient(lambda: addresses, credentials(self.directory, worker))

    def entries(self) -> tuple[Body, ...]:
        """Those that are committed; none while nobody leads."""
        bodies: tuple[Body, ...] = ()
        with self.client() as asked:
            for _ in self.ports:
                with suppress(HolderAway, HolderRefuses):
                    bodies = bodies or asked.log(0, NOBODY).page.bodies
        return bodies

    def version(self) -> int:
        """The newest one that is committed; 0 while nobody leads."""
        return max((body.version for body in self.entries() if isinstance(body, Merge)), default=0)

    def reach(self, version: int) -> None:
        """Wait until it is committed."""
        wait_for(lambda: self.version() >= version, 60.0, f"version {version}")

    def lead(self) -> str:
        """The holder that leads, by its own words the last to."""
        found = [
            (int(term), name)
            for name, holder in self.running.items()
            for term in re.findall(rf"{name} leads in term (\d+)", holder.words.read_text())[-1:]
        ]
        return max(found)[1]

    def hold_together(self) -> None:
        """Wait until all holders are in the council, and have what is committed."""

        def together() -> bool:
            councils = [body for body in self.entries() if isinstance(body, Council)]
            return bool(councils) and councils[-1].holders == set(self.ports)

        wait_for(together, 60.0, "a council of all holders")

    def ended(self) -> Shown:
        """What is on the disk of the one that leads, once all are killed."""
        lead = self.lead()
        for name in tuple(self.running):
            self.kill_holder(name)
        return self.kept(lead)

    def kept(self, name: str = "h1") -> Shown:
        """What a holder, which has ended, has on its disk."""
        seat = Seat(self._log_of(name), name)
        seat.close()
        assert seat.shown is not None
        return seat.shown

    def close(self) -> None:
        for running in self.started:
            running.wake()
            running.kill()

    def _log_of(self, name: str) -> Path:
        return self._kept_in(name) / "rounds" / name

    def _kept_in(self, name: str) -> Path:
        return self.directory / f"kept-{name}"

    def _start(self, name: str, arguments: list[str], result: Path = Path()) -> Running:
        identity = write_identity(self.directory / f"identity-{name}", name)
        # Programs of tests are no package: what they import is found from the root.
        env = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            Env.IDENTITY_DIR: str(identity),
            Env.CA_FILE: str(identity / "authorities.crt"),
            Env.JOB_UID: JOB,
        }
        words = self.directory / f"{name}.log"
        with words.open("ab") as log:
            process = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, env=env)
        running = Running(process, result, words)
        self.started.append(running)
        return running


@contextmanager
def rounds_bed(
    directory: Path, samples: int = 400, epochs: int = 1, batch: int = 8, holders: int = 1
) -> Iterator[RoundsBed]:
    bed = RoundsBed(directory, samples, epochs, batch, holders)
    try:
        bed.start()
        yield bed
    finally:
        bed.close()
