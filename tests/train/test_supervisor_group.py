"""Real supervisors with trainers that only pretend: forming, losing, waking, joining, refusing."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain_protocol.names import DISK_EXIT_STATUS
from tests.support.fake_group import Start, pretending, trained
from tests.support.group import LocalGroup
from tests.support.identities import stranger, write_identity

OOM_KILLED = "import os; open(os.environ['EDGETRAIN_CGROUP'] + '/memory.events', 'w').write('oom_kill 5')"
"""What the kernel writes when it has killed."""


@pytest.mark.parametrize("victim", [0, 2])
def test_a_killed_trainer_is_replaced_and_comes_back(start: Start, victim: int) -> None:
    group = trained(start())
    group.kill_trainer(victim)
    assert group.next_commit(5, but=(victim,)) < 1.5
    wait_for(group.whole, 15, group.tail)
    assert len(group.workers[victim].lines("start")) == 2


@pytest.mark.parametrize("victim", [0, 3])
def test_a_stopped_pod_is_put_out_and_comes_back_when_it_wakes(start: Start, victim: int) -> None:
    group = trained(start())
    group.signal_pod(victim, signal.SIGSTOP)
    assert group.next_commit(6, but=(victim,)) < 3
    group.signal_pod(victim, signal.SIGCONT)
    wait_for(group.whole, 20, group.tail)


def test_a_stopped_trainer_under_a_living_supervisor_is_put_out(start: Start) -> None:
    group = trained(start())
    group.kill_trainer(1, signal.SIGSTOP)
    assert group.next_commit(6, but=(1,)) < 3
    group.kill_trainer(1, signal.SIGCONT)
    wait_for(group.whole, 20, group.tail)


def test_a_pod_that_vanishes_and_returns_declares_its_old_trainer_ended(start: Start) -> None:
    group = trained(start(3))
    worker = group.workers[1]
    group.kill_supervisor(1)
    assert group.next_commit(6, but=(1,)) < 3
    wait_for(lambda: not _lives(worker.trainer_pid), 5, "the trainer ends with its supervisor")
    group.start(1)
    wait_for(group.whole, 20, group.tail)


def test_a_side_without_majority_pauses(start: Start) -> None:
    group = trained(start())
    group.signal_pod(0, signal.SIGSTOP)
    group.signal_pod(1, signal.SIGSTOP)
    wait_for(lambda: "silent" in group.workers[3].errors, 5)
    time.sleep(1.0)
    paused = group.step
    time.sleep(1.0)
    assert group.step == paused
    group.signal_pod(0, signal.SIGCONT)
    wait_for(lambda: group.step > paused + 2, 10, group.tail)


def test_a_plan_brings_a_member_in_and_passes_from_hand_to_hand(start: Start) -> None:
    group = trained(start(members=[0, 1, 2]), 0, 1, 2)
    group.give(group.plan(revision=2, succession=["w2", "w0", "w1", "w3"]), workers=[1])
    wait_for(group.whole, 20, group.tail)
    assert "formation" in group.workers[3].errors


def test_a_member_that_the_plan_lets_go_leaves_at_a_boundary(start: Start) -> None:
    group = trained(start())
    group.give(group.plan(revision=2, members=[0, 1, 2]))
    wait_for(lambda: group.whole(0, 1, 2), 15, group.tail)
    assert "broke" not in group.workers[0].errors


def test_a_finished_group_ends_well(start: Start) -> None:
    group = start(3, steps=30)
    for worker in group.workers:
        wait_for((worker.directory / "run" / "finishing").exists, 20, worker.errors)
        (worker.directory / "run" / "profiler-drained").touch()  # as the profiler beside it would
        assert worker.process is not None
        assert worker.process.wait(10) == 0, worker.errors


def test_a_plan_that_says_stop_ends_all_well(start: Start) -> None:
    group = trained(start(3))
    plan = group.plan(revision=2).model_dump(by_alias=True)
    group.give(group.plan(revision=2).model_validate({**plan, "phase": "stop"}))
    for worker in group.workers:
        assert worker.process is not None
        assert worker.process.wait(20) == 0, worker.errors
    assert len({worker.step for worker in group.workers}) == 1


def test_a_supervisor_with_a_strangers_certificate_is_refused_and_says_so(tmp_path: Path) -> None:
    group = pretending(tmp_path / "group", 3)
    try:
        group.give(group.plan())
        write_identity(group.workers[2].identity, "w2", by=stranger())
        group.start()
        trained(group, 0, 1)
        wait_for(lambda: all("certificate" in group.workers[i].errors for i in (0, 2)), 5, group.tail)
        assert group.workers[2].commits == []
    finally:
        group.close()


def test_garbage_on_the_control_port_harms_nobody(start: Start) -> None:
    group = trained(start(3))
    for noise in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(4096), b"{}\n", b"\x16\x03\x01" + os.urandom(64)):
        with socket.create_connection(("127.0.0.1", group.workers[0].control_port)) as sock:
            sock.sendall(noise)
    group.next_commit(5)
    assert group.whole()


@pytest.mark.parametrize(
    ("command", "reason", "words"),
    [
        ([sys.executable, "-c", "raise RuntimeError('no such sensor')"], "ProgramFailed", "no such sensor"),
        (["/no/such/command"], "CommandNotFound", "/no/such/command"),
        (
            [sys.executable, "-c", "import os, sys; sys.stderr.write('tensor bug'); os.abort()"],
            "ProgramFailed",
            "ended 5 times in 600 s, at last by SIGABRT: tensor bug",
        ),
        (
            [sys.executable, "-c", f"{OOM_KILLED}; os.kill(os.getpid(), 9)"],
            "OutOfMemory",
            "a limit of 128 MiB, 127 MiB in use at most",
        ),
        (
            [sys.executable, "-c", f"{OOM_KILLED}; raise RuntimeError('a reader was killed')"],
            "ProgramFailed",
            "status 1 (the kernel killed a part of it for memory: a limit of 128 MiB",
        ),
    ],
)
def test_a_program_that_fails_ends_the_container_with_its_last_words(
    tmp_path: Path, command: list[str], reason: str, words: str
) -> None:
    group = LocalGroup(tmp_path, lambda _: command, 1)
    try:
        group.give(group.plan())
        worker = group.workers[0]
        limits = {"memory.events": "oom_kill 4", "memory.max": str(128 << 20), "memory.peak": str(127 << 20)}
        for name, text in limits.items():
            (worker.directory / name).write_text(text)
        group.start_one(worker, EDGETRAIN_CGROUP=str(worker.directory))
        assert worker.process is not None
        assert worker.process.wait(20) == 1
        said = (worker.directory / "termination-log").read_text()
        assert said.startswith(reason) and words in said
    finally:
        group.close()


def test_a_program_may_open_as_many_files_as_the_system_lets_it(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    tell = "import resource; raise SystemExit(f'{resource.getrlimit(resource.RLIMIT_NOFILE)}')"
    group = LocalGroup(tmp_path, lambda _: [sys.executable, "-c", tell], 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    try:
        group.give(group.plan())
        group.start()
        worker = group.workers[0]
        assert worker.process is not None
        assert worker.process.wait(20) == 1
        assert f"({hard}, {hard})" in (worker.directory / "termination-log").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        group.close()


def test_a_pod_whose_volumes_are_taken_away_trains_on(start: Start) -> None:
    """As KubeEdge's agent does when it starts again: directories go, processes stay."""
    group = trained(start())
    bereft = group.workers[3]
    shutil.rmtree(bereft.directory / "state")
    shutil.rmtree(bereft.identity)
    group.give(group.plan(revision=2, succession=["w1", "w0", "w2", "w3"]), workers=[0])
    wait_for(lambda: "is gone" in bereft.errors, 10, group.tail)
    # Everybody has to dial, and to be known by its certificate, anew.
    group.signal_pod(3, signal.SIGSTOP)
    assert group.next_commit(6, but=(3,)) < 3
    group.signal_pod(3, signal.SIGCONT)
    wait_for(group.whole, 20, group.tail)


def test_a_pod_that_starts_again_without_its_votes_takes_no_part(start: Start) -> None:
    group = trained(start())
    bereft = group.workers[3]
    assert bereft.process is not None
    for index in (1, 2):  # so that w0 stays where it is
        group.signal_pod(index, signal.SIGSTOP)
    shutil.rmtree(bereft.directory / "state")
    group.kill_supervisor(3)
    for _ in range(2):  # each time: what it has forgotten, w0 remembers
        group.start(3)
        assert bereft.process.wait(20) == DISK_EXIT_STATUS
        assert (bereft.directory / "termination-log").read_text().startswith("VotesLost: w0 ")
    for index in (1, 2):
        group.signal_pod(index, signal.SIGCONT)
    wait_for(lambda: group.whole(0, 1, 2), 20, group.tail)


@pytest.mark.parametrize("index", [0, 3])
def test_a_pod_that_has_lost_its_plan_is_found_by_the_others(start: Start, index: int) -> None:
    """It knows nobody, and so can dial nobody, whatever its name."""
    group = trained(start())
    bereft = group.workers[index]
    assert bereft.process is not None
    group.kill_supervisor(index)
    group.next_commit(6, but=(index,))
    shutil.rmtree(bereft.directory / "state")
    (bereft.directory / "plan.json").unlink()
    group.start(index)
    wait_for(group.whole, 20, group.tail)


def test_a_vote_that_cannot_be_written_is_not_given(start: Start) -> None:
    group = trained(start())
    stuck = group.workers[3]
    assert stuck.process is not None
    votes = stuck.directory / "state" / "supervisor" / "votes.json"
    before = votes.read_bytes()
    votes.unlink()
    votes.mkdir()
    group.kill_trainer(0)
    assert stuck.process.wait(10) == DISK_EXIT_STATUS
    assert (stuck.directory / "termination-log").read_text().startswith("DiskFailed: ")
    wait_for(lambda: group.whole(0, 1, 2), 20, group.tail)
    votes.rmdir()
    votes.write_bytes(before)
    group.start(3)
    wait_for(group.whole, 20, group.tail)


def test_the_supervisor_never_imports_torch() -> None:
    code = "import edgetrain.supervisor.main, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
