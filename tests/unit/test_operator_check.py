"""`edgetrain-operator check`, against a real fleet API."""

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgetrain_operator.__main__ import main
from edgetrain_operator.check import NotWorking, look, wait_until_working
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from tests.support.fleet import Lease, serving


def bundle(service: FleetService, directory: Path) -> Path:
    path = directory / "ca.crt"
    path.write_text(service.fleet.ca_bundle())
    return path


def test_leader_that_answers_works(tmp_path: Path) -> None:
    with serving() as service:
        look("127.0.0.1", service.port, bundle(service, tmp_path))


def test_standby_asks_its_leader(tmp_path: Path) -> None:
    keyring = renewed(None, datetime.now(UTC))
    with (
        serving(keyring) as leader,
        serving(keyring, Lease(False, f"127.0.0.1:{leader.port}")) as standby,
    ):
        look("127.0.0.1", standby.port, bundle(standby, tmp_path))


def test_nobody_leads(tmp_path: Path) -> None:
    with serving(lease=Lease(leading=False)) as service:
        ca_file = bundle(service, tmp_path)
        with pytest.raises(NotWorking, match=r"no replica leads: .* answers 503"):
            look("127.0.0.1", service.port, ca_file)


def test_somebody_else_answers(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text(ca.make_authority(datetime.now(UTC)).certificate)
    with serving() as service, pytest.raises(NotWorking, match="CERTIFICATE_VERIFY_FAILED"):
        look("127.0.0.1", service.port, ca_file)


def test_it_waits_for_a_release_that_has_just_been_installed(tmp_path: Path) -> None:
    lease = Lease(leading=False)
    with serving(lease=lease) as service:
        ca_file = bundle(service, tmp_path)
        with pytest.raises(NotWorking):
            wait_until_working("127.0.0.1", service.port, ca_file, patience=0.0)
        lease.leading = True
        wait_until_working("127.0.0.1", service.port, ca_file, patience=0.0)


def test_command_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as service:
        asked = ["check", "127.0.0.1", str(service.port), str(bundle(service, tmp_path))]
        monkeypatch.setattr(sys, "argv", ["edgetrain-operator", *asked])
        main()
    said = capsys.readouterr()
    assert said.err == ""
    assert "answers, and a replica leads" in said.out


def test_nobody_listens(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text(ca.make_authority(datetime.now(UTC)).certificate)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(NotWorking, match=rf"127\.0\.0\.1:{port}: .*refused"):
        look("127.0.0.1", port, ca_file)
