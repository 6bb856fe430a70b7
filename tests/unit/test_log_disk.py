"""The disk that a worker keeps the log of rounds on: its identity, and who may write there."""

import threading
from pathlib import Path

import pytest

from edgetrain.aggregator.log_directory import log_directory
from edgetrain.supervisor.log_disk import LogDisk


def test_every_pod_of_a_worker_finds_the_same_disk_and_other_workers_have_others(tmp_path: Path) -> None:
    found = {w: {LogDisk(tmp_path, "job", w).identity() for _ in range(2)} for w in ("a", "b")}
    assert len(found["a"]) == len(found["b"]) == 1 and found["a"] != found["b"]
    assert found["a"] != {LogDisk(tmp_path, "another-job", "a").identity()}


def test_pods_that_look_at_once_name_it_once(tmp_path: Path) -> None:
    start, found = threading.Barrier(8), list[str]()

    def look() -> None:
        disk = LogDisk(tmp_path, "job", "a")
        start.wait()
        found.append(disk.identity())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_one_that_cannot_be_written_is_tried_again_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetrain.supervisor.log_disk.AGAIN_SECONDS", 0.05)
    root, found, known = tmp_path / "volume", list[str](), threading.Event()
    root.write_text("no directory")
    disk = LogDisk(root, "job", "a")

    def know(identity: str) -> None:
        found.append(identity)
        known.set()

    disk.identify(know)
    assert not known.wait(0.2)
    root.unlink()
    assert known.wait(5) and found == [disk.identity()]


def test_one_holder_at_a_time_writes_there_and_logs_that_are_over_are_forgotten(tmp_path: Path) -> None:
    now, before = tmp_path / "rounds" / "now", tmp_path / "rounds" / "before"
    before.mkdir(parents=True)
    (before / "log").write_text("of a lineage that is over")
    with log_directory(now):
        assert not before.exists() and now.exists()
        with pytest.raises(OSError, match="another process of this worker"), log_directory(now):
            pass
    with log_directory(now):
        pass


def test_a_log_that_is_still_written_is_not_forgotten(tmp_path: Path) -> None:
    with log_directory(tmp_path / "rounds" / "before"), log_directory(tmp_path / "rounds" / "now"):
        assert (tmp_path / "rounds" / "before").exists()
