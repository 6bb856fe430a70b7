"""A worker whose program and data are named by an address: real supervisors, and a server that fails."""

import hashlib
import io
import os
import random
import signal
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from tests.support.group import LocalGroup, Worker
from tests.support.remote_files import Files, serving
from tests.support.s3_server import S3

PROGRAM = b"""
import os, pathlib, sys
from helper import NAME
found = sorted(path.name for path in pathlib.Path(os.environ["EDGETRAIN_DATA_DIR"]).iterdir())
new = pathlib.Path(sys.argv[1] + ".new")
new.write_text(f"{NAME}: {found}")
new.rename(sys.argv[1])
"""
DATA = random.Random(1).randbytes((4 << 20) + 5)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(**files: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{name}.py")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return held.getvalue()


ARCHIVE = archive(main=PROGRAM, helper=b"NAME = 'fetched'")


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as found:
        found.files = {"p.tar": ARCHIVE, "data.bin": DATA}
        yield found


@pytest.fixture
def group(tmp_path: Path, files: Files) -> Iterator[LocalGroup]:
    def command(worker: Worker) -> list[str]:
        return [sys.executable, str(worker.directory / "program" / "main.py"), str(worker.directory / "said")]

    group = LocalGroup(tmp_path, command, 1)
    group.workers[0].directory.joinpath("program").mkdir()
    group.env = {
        "EDGETRAIN_PROGRAM_URI": files.url("p.tar"),
        "EDGETRAIN_PROGRAM_SHA256": sha(ARCHIVE),
        "EDGETRAIN_DATA_URI": files.url("data.bin"),
        "EDGETRAIN_DATA_SHA256": sha(DATA),
        "EDGETRAIN_DATA_DIR": str(tmp_path / "data"),
    }
    group.give(group.plan())
    try:
        yield group
    finally:
        group.close()


def ended(group: LocalGroup) -> int | None:
    """Its exit status."""
    worker = group.workers[0]
    wait_for(lambda: worker.ended, 30, group.tail)
    assert worker.process is not None
    return worker.process.returncode


def said(group: LocalGroup) -> str:
    file = group.workers[0].directory / "said"
    text = file.read_text()
    file.unlink()
    return text


def test_program_and_data_are_there_when_it_starts_and_stay(group: LocalGroup, files: Files) -> None:
    group.start()
    wait_for(lambda: (group.workers[0].directory / "said").exists(), 30, group.tail)
    assert said(group) == "fetched: ['data.bin']"
    group.kill_supervisor(0)
    files.files = {}
    group.start()
    wait_for(lambda: (group.workers[0].directory / "said").exists(), 30, group.tail)
    assert said(group) == "fetched: ['data.bin']"


def test_data_of_a_bucket_come_with_the_secrets_keys(group: LocalGroup, s3: S3, tmp_path: Path) -> None:
    s3.put("set/part 1.bin", DATA)
    s3.put("set/SHA256SUMS", f"{sha(DATA)}  part 1.bin\n".encode())
    group.env |= {
        "EDGETRAIN_DATA_URI": "s3://bucket/set/",
        "EDGETRAIN_DATA_SHA256": "",
        "EDGETRAIN_KEYS": "data",
        "EDGETRAIN_KEYS_DIR": str(tmp_path / "keys"),
    }
    group.start()
    wait_for(lambda: "SecretMissing" in group.workers[0].errors, 30, group.tail)
    s3.write_keys(tmp_path / "keys" / "data")
    wait_for(lambda: (group.workers[0].directory / "said").exists(), 30, group.tail)
    assert said(group) == "fetched: ['part 1.bin']"


def test_something_else_is_not_run(group: LocalGroup, files: Files) -> None:
    files.files["p.tar"] = archive(main=b"print('other')")
    group.start()
    assert ended(group) == 1
    assert "HashDiffers: http://" in (group.workers[0].directory / "termination-log").read_text()
    assert list((group.workers[0].directory / "program").glob("*.py")) == []


def test_it_waits_for_a_store_and_says_so(group: LocalGroup, files: Files) -> None:
    files.statuses = [503] * 6
    group.start()
    wait_for(lambda: (group.workers[0].directory / "said").exists(), 30, group.tail)
    assert "StoreUnreachable" in group.workers[0].errors and "503" in group.workers[0].errors


def test_killed_in_the_middle_it_goes_on_where_it_was(group: LocalGroup, files: Files) -> None:
    files.pause = threading.Event()
    group.start()
    worker = group.workers[0]
    wait_for(
        lambda: any(path == "/data.bin" and "1048576" in wanted for _, path, wanted in files.seen),
        30,
        group.tail,
    )
    before = files.sent
    group.kill_supervisor(0)
    files.pause.set()
    files.pause = None
    group.start()
    wait_for(lambda: (worker.directory / "said").exists(), 30, group.tail)
    assert said(group) == "fetched: ['data.bin']"
    # What was asked for when it was killed is sent, and asked for again.
    assert files.sent - before <= len(DATA) - (1 << 20) + (1 << 20)


def test_told_to_end_while_it_fetches_it_ends(group: LocalGroup, files: Files) -> None:
    files.pause = threading.Event()
    group.start()
    wait_for(
        lambda: any(path == "/data.bin" and "1048576" in wanted for _, path, wanted in files.seen),
        30,
        group.tail,
    )
    process = group.workers[0].process
    assert process is not None
    os.kill(process.pid, signal.SIGTERM)
    assert ended(group) == 0
    files.pause.set()
    assert not (group.workers[0].directory / "said").exists()
