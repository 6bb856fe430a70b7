"""The profiler as it runs: real processes, a real fleet API, real probes over loopback."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.waiting import wait_for
from edgetrain.profiler.metrics import LINKS
from edgetrain.rundir import DRAINED_FILE, FINISHING_FILE, Heartbeat, write_heartbeat
from edgetrain.supervisor.metrics import Metrics as TrainerMetrics
from edgetrain_local.ports import free_port
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.fleet.store import Sender
from edgetrain_protocol.names import Env
from edgetrain_protocol.report import Report, ReportAnswer
from tests.support.fleet import JOB, Lease, serving, settings_for
from tests.support.relayed import training

PATIENCE = 20.0


def until(true: Callable[[], object], what: str) -> None:
    wait_for(true, PATIENCE, what, every=0.02)


@dataclass
class Profiler:
    process: subprocess.Popen[bytes]
    directory: Path
    metrics_port: int
    trainer_metrics_port: int

    def page(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float | None:
        samples = (s for family in text_string_to_metric_families(self.page()) for s in family.samples)
        return next((sample.value for sample in samples if sample.name == name), None)

    def serves(self) -> bool:
        try:
            self.page()
        except OSError:
            return False
        return True

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def profiler_of(service: FleetService, directory: Path, worker: str = "w-a") -> Profiler:
    """Start a profiler with the environment of a worker pod."""
    fleet, port, trainers = settings_for(service, directory, worker), free_port(), free_port()
    env: dict[str, str] = {
        Env.JOB: "edge/digits",
        Env.JOB_UID: JOB,
        Env.WORKER: worker,
        Env.NODE: f"node-{worker}",
        Env.POD: f"pod-of-{worker}",
        Env.POD_UID: fleet.pod_uid,
        Env.POD_IP: "127.0.0.1",
        Env.FLEET_ADDRESS: fleet.address,
        Env.IDENTITY_DIR: str(fleet.identity),
        Env.CA_FILE: str(fleet.ca_file),
        Env.RUN_DIR: str(directory),
        Env.STATE_DIR: str(directory / "state"),
        Env.PROBE_PORT: str(free_port()),
        Env.PROFILER_PORT: str(port),
        Env.TRAINER_METRICS_PORT: str(trainers),
    }
    write_heartbeat(directory, Heartbeat(at=0.0, step=1))
    command = [sys.executable, "-m", "edgetrain.profiler"]
    return Profiler(subprocess.Popen(command, env={**os.environ, **env}), directory, port, trainers)


Start = Callable[[FleetService], Profiler]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def starting(service: FleetService) -> Profiler:
            profiler = profiler_of(service, tmp_path)
            stack.callback(profiler.end)
            return profiler

        yield starting


@dataclass
class Pair:
    """Two nodes' profilers whose link has been measured from both sides."""

    service: FleetService
    one: Profiler
    two: Profiler


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with serving() as service, ExitStack() as stack:
        profilers = [profiler_of(service, tmp_path_factory.mktemp(w), w) for w in ("w-a", "w-b")]
        for profiler in profilers:
            stack.callback(profiler.end)
        until(lambda: service.fleet.rates(JOB).keys() == {"w-a", "w-b"}, "both nodes are measured")
        yield Pair(service, *profilers)


def test_two_profilers_measure_their_link_and_report_it(pair: Pair) -> None:
    rate = pair.service.fleet.rates(JOB)["w-a"]
    assert rate.peer == "w-b"
    assert rate.bits_per_second > 10e6
    measured = pair.service.fleet.reports(JOB)["w-b"].measured
    assert measured is not None
    assert measured.memory_bytes > measured.memory_available_bytes > 0
    assert measured.cpu_cores == os.cpu_count()
    both = (pair.one, pair.two)
    assert max(p.metric("edgetrain_profiler_link_bytes_per_second") or 0 for p in both) > 1e6
    assert sum(p.metric("edgetrain_profiler_probe_bytes_total") or 0 for p in both) > 0


def test_is_small_and_free_of_torch(pair: Pair) -> None:
    status = Path(f"/proc/{pair.one.process.pid}/status").read_text()
    most_resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(most_resident) < 64 * 1024
    assert "torch" not in Path(f"/proc/{pair.one.process.pid}/maps").read_text()


def test_metrics_page_is_well_formed(pair: Pair) -> None:
    """The rules of `promtool check metrics`, for machines without it."""
    families = list(text_string_to_metric_families(pair.one.page()))
    documented = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    for family in families:
        assert family.documentation.endswith("."), f"{family.name} has no HELP"
        assert family.type in ("gauge", "counter"), f"{family.name} has no TYPE"
        totals = [sample.name.endswith("_total") for sample in family.samples]
        assert totals == [family.type == "counter"] * len(totals), family.name
        assert not re.search("milli|percent|bits|gauge|counter|[A-Z]", family.name), family.name
        assert re.search(f"`{family.name}(_total)?[`{{]", documented), (
            f"{family.name} is not in docs/metrics.md"
        )


def test_outage_is_bridged_by_the_disk_with_the_reports_own_times(start: Start) -> None:
    keyring = renewed(None, datetime.now(UTC))
    with serving(keyring) as first:
        profiler, port = start(first), first.port
        until(lambda: first.fleet.reports(JOB), "a report")
    until(lambda: (profiler.metric("edgetrain_profiler_reports_buffered") or 0) >= 3, "three wait on disk")
    profiler.process.send_signal(signal.SIGKILL)
    profiler.process.wait()
    back = time.time()
    second = FleetService(keyring, Lease(), "127.0.0.1", port)
    second.fleet.expect(JOB)
    taken: list[tuple[int, float]] = []
    keep = second.fleet.take

    def listening(job_uid: str, reports: Sequence[Report], sender: Sender) -> ReportAnswer:
        taken.extend((report.sequence, report.at) for report in reports)
        return keep(job_uid, reports, sender)

    second.fleet.take = listening  # type: ignore[method-assign]
    second.start()
    try:
        again = start(second)
        until(lambda: len(taken) >= 4, "the backlog and a new report")
        assert taken == sorted(taken), "in order of sequence and of time"
        assert [at < back for _, at in taken[:3]] == [True] * 3, "with the times at which they were made"
        # It learns a moment later than we that they were taken.
        until(lambda: again.metric("edgetrain_profiler_reports_buffered") == 0, "none waits any more")
    finally:
        second.stop()


def test_finishing_hands_over_and_says_so(start: Start) -> None:
    with serving() as service:
        profiler = start(service)
        until(lambda: service.fleet.reports(JOB), "a report")
        before = service.fleet.reports(JOB)["w-a"].head.sequence
        (profiler.directory / FINISHING_FILE).touch()
        until((profiler.directory / DRAINED_FILE).exists, "drained")
        assert service.fleet.reports(JOB)["w-a"].head.sequence > before
        assert profiler.process.poll() is None, "the pod's end ends it, not the job's"


def test_finishing_does_not_wait_for_an_operator_that_is_gone(start: Start) -> None:
    with serving() as service:
        profiler = start(service)
        until(lambda: service.fleet.reports(JOB), "a report")
    (profiler.directory / FINISHING_FILE).touch()
    until((profiler.directory / DRAINED_FILE).exists, "drained")


def test_ends_cleanly_on_sigterm(start: Start) -> None:
    with serving() as service:
        profiler = start(service)
        until(lambda: service.fleet.reports(JOB), "a report")
        profiler.process.terminate()
        assert profiler.process.wait(5) == 0


def test_stops_reporting_when_the_pod_is_over_and_still_serves_metrics(start: Start) -> None:
    with serving() as service:
        profiler = start(service)
        until(lambda: service.fleet.reports(JOB), "a report")
        service.fleet.mark_over("pod-w-a")
        (profiler.directory / FINISHING_FILE).touch()
        until((profiler.directory / DRAINED_FILE).exists, "it gave up")
        assert service.fleet.reports(JOB) == {}
        assert profiler.serves()


def test_its_page_shows_the_trainers_metrics_and_names_the_worker_on_all(start: Start) -> None:
    trainer = TrainerMetrics()
    trainer.on_part(training())
    with serving() as service:
        profiler = start(service)
        trainer.serve(profiler.trainer_metrics_port)
        until(lambda: profiler.serves() and profiler.metric("edgetrain_steps_total") == 69, "the steps")
        samples = [s for f in text_string_to_metric_families(profiler.page()) for s in f.samples]
    labels = {"job_namespace": "edge", "job_name": "digits", "node": "node-w-a"}
    assert [s.name for s in samples if not labels.items() <= s.labels.items()] == []
    assert len(samples) + 3 * LINKS <= 60, "each link will add three"


def test_missing_environment_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgetrain.profiler"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert "EDGETRAIN_FLEET_ADDRESS is not set" in done.stderr
