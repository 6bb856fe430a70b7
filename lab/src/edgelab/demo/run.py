"""A demo from beginning to end: a lab, the operator, a job, its misfortunes, a model."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.live import Live

from edgelab.config import Images, LabConfig, NodeSpec, read_config
from edgelab.demo.install import REPOSITORY, install_operator, make_namespace, upgrade_operator
from edgelab.demo.script import Script
from edgelab.demo.showings import Showing
from edgelab.demo.source import JobRef, Source
from edgelab.demo.summary import Outcome, held_out_accuracy, model_file, summary
from edgelab.demo.view import Device, Frame, draw
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain_protocol.status import JobStatus

NAMESPACE = "demo"
LIMIT_SECONDS = 300.0
LOOK_EVERY_SECONDS = 0.4


def devices(config: LabConfig, newcomers: Sequence[NodeSpec]) -> dict[str, Device]:
    """What each edge node is, those too that come later."""
    specs = [*(node for node in config.nodes if node.kind == "edge"), *newcomers]
    return {s.name: Device(s.name, s.link or "-", "-" if s.cpu is None else f"{s.cpu:g}") for s in specs}


def job_of(manifest: Path) -> JobRef:
    """The name of the manifest's job."""
    documents = yaml.safe_load_all(manifest.read_text())
    return next(JobRef(NAMESPACE, d["metadata"]["name"]) for d in documents if d["kind"] == "EdgeTrainingJob")


@dataclass
class Demo:
    """One showing, on a lab of its own. `console` is where it is drawn."""

    lab: Lab
    console: Console
    showing: Showing
    images: Images | None = None
    """As the environment says where None."""
    began: float = field(default_factory=time.monotonic)
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.script = Script(self.showing.acts)

    def show(self) -> Outcome:
        """Run everything; what it brought up is taken down by the caller.

        Raises:
            LabError: a step failed; the text says which and what to look at.
        """
        showing = self.showing
        config = read_config(showing.nodes).running(self.images)
        self._tell(f"bringing up a cluster: 1 cloud node, {len(config.nodes) - 1} edge nodes")
        self.lab.up(config)
        self._tell("helm install edgetrain")
        address = install_operator(self.lab, "cloud-1")
        if showing.options:
            upgrade_operator(self.lab, *showing.options)
        showing.prepare(self.lab)
        self._tell(f"kubectl apply -f {showing.manifest.relative_to(REPOSITORY)}")
        make_namespace(self.lab, NAMESPACE)
        self.lab.kubectl("-n", NAMESPACE, "apply", "-f", showing.manifest)
        source = Source(self.lab, job_of(showing.manifest), address)
        status = self._follow(source, devices(config, showing.newcomers))
        return self._outcome(status, source.job)

    def _follow(self, source: Source, fleet: dict[str, Device]) -> JobStatus:
        """Draw until the job is over, and let things happen on the way."""
        frame = Frame(f"EdgeTrainingJob {source.job.name}", source.status(), fleet, self.story)
        end = time.monotonic() + LIMIT_SECONDS
        with Live(draw(frame), console=self.console, auto_refresh=False) as live:
            while time.monotonic() < end:
                frame.status, frame.seconds = source.status(), self._seconds
                self._play(frame.status)
                live.update(draw(frame), refresh=True)
                if frame.status.phase in ("Succeeded", "Complete", "Failed"):
                    return frame.status
                time.sleep(LOOK_EVERY_SECONDS)
        raise LabError(
            f"the job was not over within {LIMIT_SECONDS:.0f} s; its phase is {frame.status.phase}"
        )

    def _play(self, status: JobStatus) -> None:
        if said := self.script.settled(status):
            self._tell(said)
        if turn := self.script.advance(status):
            act, node = turn
            self._tell(act.says.format(node=node))
            self.showing.perform[act.name](self.lab, node, self.script.before)

    def _outcome(self, status: JobStatus, job: JobRef) -> Outcome:
        """Look at what came out, and bring the model out of the lab before it goes."""
        found = model_file(self.lab, NAMESPACE, status)
        kept = REPOSITORY / "build" / "demo" / "model.safetensors"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, kept)
        accuracy = held_out_accuracy(self.lab, NAMESPACE, status)
        return Outcome(status, accuracy, kept, self._seconds, self.story, self.script.unfinished)

    def _tell(self, text: str) -> None:
        line = f"{self._seconds:5.0f} s  {text}"
        self.story.append(line)
        if len(self.story) <= 3:
            self.console.print(line)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.began


def run_demo(name: str, console: Console, showing: Showing, images: Images | None = None) -> int:
    """Show a demo; exit status 0 if everything it promises came true. Takes its lab down in any case."""
    lab = Lab(name)
    try:
        # What an earlier showing left when it was killed.
        lab.down()
        outcome = Demo(lab, console, showing, images).show()
        console.print(summary(outcome))
        return 0 if outcome.kept_its_promises else 1
    finally:
        console.print("taking the cluster down")
        lab.down()
