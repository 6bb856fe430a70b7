"""The fleet API over real TLS on loopback, asked by the client that pods use."""

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain.fleet_client import FleetClient, Gone, Refused, Unauthorized, Unavailable
from edgetrain.fleet_settings import FleetSettings
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from edgetrain_protocol.identity import TOKEN
from edgetrain_protocol.names import MODEL_DIR
from edgetrain_protocol.report import LinkMeasure, NodePart, TrainerState, TrainingPart
from edgetrain_protocol.signed_plan import SignedPlan
from tests.support.fleet import JOB, Lease, plan, report, serving, settings_for
from tests.support.identities import write_identity


@pytest.fixture(scope="module")
def service() -> Iterator[FleetService]:
    with serving() as running:
        yield running


@pytest.fixture
def settings(service: FleetService, tmp_path: Path) -> Iterator[FleetSettings]:
    yield settings_for(service, tmp_path)
    service.fleet.forget(JOB)
    service.fleet.publish(JOB, plan(1))
    service.fleet.board.forget(JOB)


@pytest.fixture
def client(settings: FleetSettings) -> Iterator[FleetClient]:
    with FleetClient(settings) as dialled:
        yield dialled


def poll_in_thread(client: FleetClient, revision: int) -> "tuple[threading.Thread, list[object]]":
    outcome: list[object] = []

    def poll() -> None:
        try:
            outcome.append(client.poll_plan(1, revision, wait=20))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=poll)
    thread.start()
    return thread, outcome


def wait_for_pollers(service: FleetService, count: int) -> None:
    board = service.fleet.board
    wait_for(lambda: board.pollers >= count, 10, lambda: f"{count} to wait, not {board.pollers}", every=0.005)


class TestReports:
    def test_parts_of_supervisor_and_profiler_meet_in_one_worker(
        self, service: FleetService, client: FleetClient
    ) -> None:
        client.send([report(sequence=4)])
        client.send([report(sequence=0, measured=NodePart(cpu_ratio=0.5))])
        held = service.fleet.reports(JOB)["w-a"]
        assert held.training and held.training.step == 4
        assert held.measured and held.measured.cpu_ratio == 0.5
        assert abs(held.received - time.time()) < 5

    def test_answer_names_the_plans_revision(self, service: FleetService, client: FleetClient) -> None:
        service.fleet.publish(JOB, plan(7))
        assert client.send([report()]).revision == 7

    def test_backlog_is_taken_in_order_and_the_newest_counts(
        self, service: FleetService, client: FleetClient
    ) -> None:
        an_hour_ago = time.time() - 3600
        client.send([report(sequence=n, at=an_hour_ago + n) for n in range(50)])
        held = service.fleet.reports(JOB)["w-a"]
        assert held.head.sequence == 49
        assert held.head.at == pytest.approx(an_hour_ago + 49)

    def test_sending_again_after_a_lost_answer_is_no_error(self, client: FleetClient) -> None:
        twice = report(sequence=3)
        client.send([twice])
        client.send([twice])

    def test_reporter_that_starts_again_counts_from_zero(
        self, service: FleetService, client: FleetClient
    ) -> None:
        client.send([report(sequence=900, at=time.time() - 5)])
        client.send([report(sequence=0)])
        assert service.fleet.reports(JOB)["w-a"].head.sequence == 0

    def test_change_of_state_calls_back_and_progress_does_not(
        self, service: FleetService, client: FleetClient
    ) -> None:
        heard: list[str] = []
        service.fleet.on_change(heard.append)
        client.send([report(sequence=0)])
        client.send([report(sequence=1)])
        assert heard == [JOB]
        paused = TrainingPart(state=TrainerState.PAUSED, incarnation="i1", step=1)
        client.send([report(sequence=2, training=paused)])
        assert heard == [JOB, JOB]


class TestNonsense:
    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (report(at=time.time() + 7200), "set the clock of node node-w-a"),
            (report(worker="w-b"), "reports for itself alone"),
            (
                report(training=TrainingPart(state="finished", incarnation="i", model="/evil/model.pt")),
                "training.model",
            ),
            (
                report(training=TrainingPart(state="finished", incarnation="i", model=f"{MODEL_DIR}/..")),
                "training.model",
            ),
            (
                report(training=TrainingPart(state="training", incarnation="i", revision_held=10**15)),
                "training.revisionHeld",
            ),
            (
                report(measured=NodePart(links=(LinkMeasure(peer="w-a", bits_per_second=1, bytes=1, at=0),))),
                "no link to itself",
            ),
            (
                report(
                    measured=NodePart(links=(LinkMeasure(peer="b", bits_per_second=1, bytes=1, at=10**11),))
                ),
                r"links\[0\].at: .* in the future",
            ),
            (report().model_copy(update={"training": None}), "carries neither"),
        ],
    )
    @pytest.mark.attack(5)
    def test_is_refused_by_field_and_not_kept(
        self, service: FleetService, client: FleetClient, wrong: object, says: str
    ) -> None:
        with pytest.raises(Refused, match=says):
            client.send([wrong])  # type: ignore[list-item]
        assert service.fleet.reports(JOB) == {}

    def test_sequence_going_back_is_refused(self, client: FleetClient) -> None:
        client.send([report(sequence=9, at=1000)])
        with pytest.raises(Refused, match="5 after 9"):
            client.send([report(sequence=5, at=999)])

    def test_one_bad_report_in_a_backlog_is_named_and_those_before_it_are_kept(
        self, service: FleetService, client: FleetClient
    ) -> None:
        listed = [report(sequence=n) for n in range(4)]
        listed[2] = report(sequence=2, at=time.time() + 10**6)
        with pytest.raises(Refused, match="report 2: at") as refused:
            client.send(listed)
        assert refused.value.index == 2
        assert service.fleet.reports(JOB)["w-a"].head.sequence == 1

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
    def test_numbers_that_are_none(self, settings: FleetSettings, number: str) -> None:
        document = json.dumps(report().to_wire()).replace('"loss": null', "")
        document = document.replace('"training": {', f'"training": {{"loss": {number}, ')
        status, answer = raw_post(settings, document.encode())
        assert status == 422
        assert "training.loss: not a finite number" in answer

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("step", -1),
            ("step", 10**400),
            ("samples", 2**53),
            ("percent", 101),
            ("samplesPerSecond", 10**400),
            ("stepSeconds", 1e300),
            ("phaseSeconds", {"x" * 300: 1.0}),
            ("totals", {"steps": 10**400}),
        ],
    )
    @pytest.mark.attack(21)
    def test_numbers_that_nobody_counts_to(
        self, service: FleetService, settings: FleetSettings, field: str, value: object
    ) -> None:
        document = report().to_wire()
        document["training"][field] = value
        status, answer = raw_post(settings, json.dumps(document).encode())
        assert status == 422
        assert f"training.{field}" in answer
        assert service.fleet.reports(JOB) == {}

    @pytest.mark.parametrize(
        ("body", "status", "says"),
        [
            (b"{", 422, "not JSON"),
            (b"[" * 200_000, 422, "not JSON"),
            (b'{"training":' * 40_000, 422, "not JSON"),
            (b'{"unknown":' + b"[" * 950 + b"]" * 950 + b"}", 422, "not JSON"),
            (b"[]", 422, "must be a report"),
            (b'{"reports": []}', 422, "must be a report"),
            (b'{"worker": "w-a"}', 422, "node: Field required"),
            (b" " * (2 << 20), 413, "larger than"),
        ],
    )
    @pytest.mark.attack(21)
    def test_bodies_that_are_no_reports(
        self, settings: FleetSettings, body: bytes, status: int, says: str
    ) -> None:
        got, answer = raw_post(settings, body)
        assert got == status
        assert says in answer

    def test_a_diverged_loss_does_not_silence_the_worker(
        self, service: FleetService, client: FleetClient
    ) -> None:
        diverged = TrainingPart(state=TrainerState.TRAINING, incarnation="i", loss=math.nan)
        client.send([report(training=diverged)])
        assert service.fleet.reports(JOB)["w-a"].training.loss is None  # type: ignore[union-attr]


def raw_post(settings: FleetSettings, body: bytes) -> tuple[int, str]:
    with FleetClient(settings) as client:
        answer = client._authorised("POST", f"/v1/jobs/{settings.job_uid}/reports", body, 10)
        return answer.status, answer.body.decode()


class TestTrust:
    def test_wrong_token(self, client: FleetClient, settings: FleetSettings) -> None:
        (settings.identity / TOKEN).write_text("0000.not-it")
        with pytest.raises(Unauthorized, match="not that of w-a's pod"):
            client.send([report()])

    def test_token_of_another_job(
        self, service: FleetService, client: FleetClient, settings: FleetSettings
    ) -> None:
        write_identity(settings.identity, "w-a", job="another", by=service.fleet.keyring)
        with pytest.raises(Unauthorized, match="not that of w-a's pod"):
            client.poll_plan(0, 0, wait=0)

    def test_token_that_was_replaced_on_disk_is_read_again(
        self, service: FleetService, client: FleetClient, settings: FleetSettings
    ) -> None:
        good = (settings.identity / TOKEN).read_text()
        (settings.identity / TOKEN).write_text("0000.stale")
        with pytest.raises(Unauthorized):
            client.send([report(sequence=0)])
        (settings.identity / TOKEN).write_text(good)
        client.send([report(sequence=1)])

    def test_server_of_another_ca_is_not_believed(self, client: FleetClient, settings: FleetSettings) -> None:
        other = renewed(None, datetime.now(UTC))
        settings.ca_file.write_text(other.authorities[0].certificate)
        with pytest.raises(Unauthorized, match="not from our CA"):
            client.send([report()])

    def test_missing_files_name_the_volume(self, settings: FleetSettings) -> None:
        (settings.identity / TOKEN).unlink()
        with FleetClient(settings) as client, pytest.raises(Unauthorized, match="is its volume mounted"):
            client.send([report()])

    @pytest.mark.parametrize("bundle", ["", "not a certificate", "-----BEGIN CERTIFICATE-----\n\u00e9"])
    def test_a_bundle_that_is_none_trusts_nobody(self, settings: FleetSettings, bundle: str) -> None:
        settings.ca_file.write_text(bundle)
        with FleetClient(settings) as client, pytest.raises(Unauthorized, match="cannot read the CA bundle"):
            client.send([report()])

    def test_files_that_are_taken_away_are_remembered(
        self, client: FleetClient, settings: FleetSettings
    ) -> None:
        (settings.identity / TOKEN).unlink()
        settings.ca_file.unlink()
        client.send([report()])

    def test_views_need_a_token_too(self, service: FleetService, settings: FleetSettings) -> None:
        (settings.identity / TOKEN).write_text("0000.nobody")
        with FleetClient(settings) as client:
            assert client._kept("GET", "/v1/jobs", None, 5).status == 401
            assert client._kept("GET", f"/v1/jobs/{JOB}", None, 5).status == 401
            assert client._kept("GET", "/healthz", None, 5).status == 200
            for page in ("/openapi.json", "/docs", "/redoc"):
                assert client._kept("GET", page, None, 5).status == 404


class TestPlans:
    def test_newer_plan_wakes_who_waits(self, service: FleetService, client: FleetClient) -> None:
        thread, outcome = poll_in_thread(client, revision=1)
        wait_for_pollers(service, 1)
        published = time.monotonic()
        service.fleet.publish(JOB, plan(2))
        thread.join(5)
        assert time.monotonic() - published < 1
        assert isinstance(outcome[0], SignedPlan)
        assert outcome[0].plan.revision == 2

    def test_nothing_newer_answers_none_after_the_wait(
        self, service: FleetService, client: FleetClient
    ) -> None:
        service.fleet.publish(JOB, plan(3))
        assert client.poll_plan(1, 3, wait=0.1) is None
        assert client.poll_plan(1, 9, wait=0.1) is None

    def test_newer_lineage_counts_before_revision(self, service: FleetService, client: FleetClient) -> None:
        service.fleet.publish(JOB, plan(4, lineage=2))
        served = client.poll_plan(1, 9, wait=0)
        assert served is not None
        assert (served.plan.lineage, served.plan.revision) == (2, 4)

    def test_worker_is_served_its_own_group(self, service: FleetService, client: FleetClient) -> None:
        service.fleet.publish(JOB, plan(5, groups=(("w-b",), ("w-a", "w-c"), ("w-d",))))
        served = client.poll_plan(1, 0, wait=0)
        assert served is not None
        assert [group.name for group in served.plan.groups] == ["site-b"]

    def test_worker_outside_the_plan_is_served_no_group(
        self, service: FleetService, client: FleetClient
    ) -> None:
        service.fleet.publish(JOB, plan(5, groups=(("w-b",),)))
        served = client.poll_plan(1, 0, wait=0)
        assert served is not None
        assert served.plan.groups == ()

    def test_hundreds_wait_at_once(
        self, service: FleetService, settings: FleetSettings, tmp_path: Path
    ) -> None:
        def poll(number: int) -> int:
            uid = f"pod-{number}"
            identity = write_identity(tmp_path / uid, "w-a", uid, job=JOB, by=service.fleet.keyring)
            with FleetClient(replace(settings, pod_uid=uid, identity=identity)) as client:
                served = client.poll_plan(1, 1, wait=20)
                return served.plan.revision if served else 0

        with ThreadPoolExecutor(150) as pool:
            answers = pool.map(poll, range(150))
            wait_for_pollers(service, 150)
            service.fleet.publish(JOB, plan(2))
            assert list(answers) == [2] * 150


class TestOver:
    def test_pod_that_is_over_is_told_at_once(self, service: FleetService, client: FleetClient) -> None:
        thread, outcome = poll_in_thread(client, revision=1)
        wait_for_pollers(service, 1)
        service.fleet.mark_over("pod-w-a")
        thread.join(5)
        assert isinstance(outcome[0], Gone)
        with pytest.raises(Gone):
            client.send([report()])
        service.fleet._over.clear()

    def test_its_last_report_does_not_pass_for_its_successors(
        self, service: FleetService, client: FleetClient
    ) -> None:
        client.send([report()])
        service.fleet.mark_over("pod-w-a")
        assert service.fleet.reports(JOB) == {}
        service.fleet._over.clear()

    def test_forgotten_job_is_gone_for_all_its_pods(self, service: FleetService, client: FleetClient) -> None:
        service.fleet.publish(JOB, plan(1))
        client.send([report()])
        service.fleet.forget(JOB)
        with pytest.raises(Gone):
            client.poll_plan(0, 0, wait=0)
        assert service.fleet.reports(JOB) == {}


class TestOutages:
    def test_refused_connection_says_whom_it_dialled(self, tmp_path: Path) -> None:
        with serving() as gone:
            settings = settings_for(gone, tmp_path)
        with FleetClient(settings) as client, pytest.raises(Unavailable, match=settings.address):
            client.send([report()])

    def test_kept_connection_survives_the_servers_restart(self, tmp_path: Path) -> None:
        keyring = renewed(None, datetime.now(UTC))
        with serving(keyring) as first:
            settings, port = settings_for(first, tmp_path), first.port
            client = FleetClient(settings)
            client.send([report(sequence=0)])
        second = FleetService(keyring, Lease(), "127.0.0.1", port)
        second.fleet.expect(JOB)
        second.start()
        try:
            client.send([report(sequence=1)])
            assert second.fleet.reports(JOB)["w-a"].head.sequence == 1
        finally:
            client.__exit__()
            second.stop()

    def test_silent_server_is_a_loss(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edgetrain.fleet_client.POLL_SLACK_SECONDS", 0.2)
        with serving() as service:
            settings = settings_for(service, tmp_path)
        with socket.create_server(("127.0.0.1", int(settings.address.split(":")[1]))):
            monkeypatch.setattr("edgetrain.fleet_client.CONNECT_SECONDS", 0.2)
            started = time.monotonic()
            with FleetClient(settings) as client, pytest.raises(Unavailable):
                client.poll_plan(1, 1, wait=0.1)
            assert time.monotonic() - started < 3

    def test_close_frees_a_call_that_waits(self, service: FleetService, client: FleetClient) -> None:
        thread, outcome = poll_in_thread(client, revision=1)
        wait_for_pollers(service, 1)
        client.close()
        thread.join(5)
        assert not thread.is_alive()
        assert isinstance(outcome[0], Unavailable)


class TestStandby:
    def test_passes_on_reports_and_polls_to_the_leader(self, tmp_path: Path) -> None:
        keyring = renewed(None, datetime.now(UTC))
        lease = Lease(leading=False)
        with serving(keyring) as leader, serving(keyring, lease) as standby:
            lease.address = f"127.0.0.1:{leader.port}"
            with FleetClient(settings_for(standby, tmp_path)) as client:
                client.send([report(sequence=5)])
                assert leader.fleet.reports(JOB)["w-a"].head.sequence == 5
                assert standby.fleet.reports(JOB) == {}
                thread, outcome = poll_in_thread(client, revision=0)
                wait_for_pollers(leader, 1)
                leader.fleet.publish(JOB, plan(1))
                thread.join(5)
                assert isinstance(outcome[0], SignedPlan)
                with pytest.raises(Refused, match="clock"):
                    client.send([report(sequence=6, at=time.time() + 10**6)])
                leader.fleet.mark_over("pod-w-a")
                with pytest.raises(Gone):
                    client.send([report(sequence=7)])

    def test_without_a_leader_says_when_to_come_back(self, tmp_path: Path) -> None:
        with (
            serving(lease=Lease(leading=False)) as standby,
            FleetClient(settings_for(standby, tmp_path)) as client,
            pytest.raises(Unavailable, match="no operator leads") as unavailable,
        ):
            client.send([report()])
        assert unavailable.value.retry_after == 2

    def test_two_standbys_do_not_send_a_request_round(self, tmp_path: Path) -> None:
        keyring = renewed(None, datetime.now(UTC))
        one, two = Lease(leading=False), Lease(leading=False)
        with serving(keyring, one) as first, serving(keyring, two) as second:
            one.address, two.address = f"127.0.0.1:{second.port}", f"127.0.0.1:{first.port}"
            with FleetClient(settings_for(first, tmp_path)) as client, pytest.raises(Unavailable):
                client.send([report()])

    def test_dead_leader_is_unavailable(self, tmp_path: Path) -> None:
        keyring = renewed(None, datetime.now(UTC))
        with serving(keyring) as leader:
            address = f"127.0.0.1:{leader.port}"
        with (
            serving(keyring, Lease(leading=False, address=address)) as standby,
            FleetClient(settings_for(standby, tmp_path)) as client,
            pytest.raises(Unavailable, match="does not answer"),
        ):
            client.send([report()])


class TestViews:
    def test_job_shows_every_node_and_who_aggregates(
        self, service: FleetService, client: FleetClient, settings: FleetSettings
    ) -> None:
        service.fleet.publish(JOB, plan(3))
        client.send([report(sequence=12)])
        document = json.loads(client._kept("GET", f"/v1/jobs/{JOB}", None, 5).body)
        assert document["revision"] == 3
        (node,) = document["nodes"]
        assert (node["worker"], node["state"], node["step"], node["aggregator"]) == (
            "w-a",
            "training",
            12,
            True,
        )
        assert client._kept("GET", "/v1/jobs", None, 5).status == 401
        (settings.identity / TOKEN).write_text(service.fleet.operator_token())
        with FleetClient(settings) as operator:
            jobs = json.loads(operator._kept("GET", "/v1/jobs", None, 5).body)["jobs"]
        assert [job["uid"] for job in jobs] == [JOB]

    def test_job_that_nobody_has_heard_of(self, service: FleetService, client: FleetClient) -> None:
        client.send([report()])
        service.fleet._store.forget(JOB)
        answer = client._kept("GET", f"/v1/jobs/{JOB}", None, 5)
        assert answer.status == 404
        assert b"nothing is known of job" in answer.body
