"""Parts of the lab that need no cluster: groups, images, volumes, and a machine's first process."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgelab import cgroups, images, init
from edgelab.archive import Image, Layer, write_archive
from edgelab.errors import LabError
from edgelab.provisioner import chosen_node, is_abandoned, volume_for
from tests.support.pods import Json

CLAIM: Json = {
    "metadata": {
        "name": "data",
        "namespace": "ns",
        "uid": "u1",
        "annotations": {"volume.kubernetes.io/selected-node": "edge-1"},
    },
    "spec": {
        "storageClassName": "edgelab-local",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
    "status": {"phase": "Pending"},
}


def test_claim_is_served_on_the_node_that_was_chosen() -> None:
    assert chosen_node(CLAIM) == "edge-1"
    volume = volume_for(CLAIM, "edge-1")
    assert volume["spec"]["claimRef"]["uid"] == "u1"
    terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["edge-1"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"phase": "Bound"}},
        {"spec": CLAIM["spec"] | {"storageClassName": "other"}},
        {"spec": CLAIM["spec"] | {"volumeName": "mine"}},
        {"metadata": {"name": "data", "namespace": "ns", "uid": "u1"}},
        {"metadata": CLAIM["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
)
def test_claim_that_waits_for_nothing_of_ours_is_left_alone(change: Json) -> None:
    assert chosen_node(CLAIM | change) is None


@pytest.mark.parametrize(("phase", "abandoned"), [("Released", True), ("Bound", False), ("Available", False)])
def test_volume_is_erased_once_its_claim_is_gone(phase: str, abandoned: bool) -> None:
    volume = volume_for(CLAIM, "edge-1") | {"status": {"phase": phase}}
    assert is_abandoned(volume) is abandoned
    volume["metadata"]["annotations"] = {}
    assert not is_abandoned(volume), "another provisioner's volume"


def test_version_2_groups_get_controllers_and_quota(tmp_path: Path) -> None:
    where = cgroups.Hierarchies(unified=tmp_path)
    above = [tmp_path, tmp_path / "edgelab", tmp_path / "edgelab/l", tmp_path / "edgelab/l/n"]
    for group in above:
        group.mkdir(exist_ok=True)
        (group / "cgroup.controllers").write_text("cpu memory\n")

    daemons = cgroups.create(where, "l", "n", 0.5)

    assert daemons == [tmp_path / "edgelab/l/n/daemons"]
    assert (tmp_path / "edgelab/l/n/pods/cpu.max").read_text() == "50000 100000"
    assert all((group / "cgroup.subtree_control").read_text() == "+memory" for group in above)


def test_hierarchies_are_found_in_the_machines_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "proc /proc proc rw 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    )
    found = cgroups.find_hierarchies(mounts)
    assert found.controllers == {"cpu,cpuacct": Path("/sys/fs/cgroup/cpu,cpuacct")}
    assert found.unified == Path("/sys/fs/cgroup/unified")
    mounts.write_text("proc /proc proc rw 0 0\n")
    with pytest.raises(LabError, match="no control groups"):
        cgroups.find_hierarchies(mounts)


def test_containers_see_interpreter_libraries_and_tree_once() -> None:
    paths = images.mounted_paths()
    for wanted in (sys.prefix, sys.base_prefix, __file__, "/usr/bin/env"):
        holders = [path for path in paths if Path(wanted).is_relative_to(path)]
        assert len(holders) == 1, wanted


def test_image_holds_a_place_for_each_mount_and_the_directories_above(tmp_path: Path) -> None:
    layer = Layer()
    layer.directory("/deep/down/here")
    layer.file("/deep/file", b"x")
    write_archive(tmp_path / "image.tar", {"a:1": Image({"User": "1"}, layer.finish())})

    with tarfile.open(tmp_path / "image.tar") as archive:
        manifest = json.loads(archive.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
        with tarfile.open(fileobj=archive.extractfile(manifest["Layers"][0])) as inner:
            names = inner.getnames()
    assert manifest["RepoTags"] == ["a:1"]
    assert names == ["deep", "deep/down", "deep/down/here", "deep/file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_first_process_restarts_what_ends_and_ends_when_asked(tmp_path: Path) -> None:
    counter = [
        "/bin/sh",
        "-c",
        f"echo x >>{tmp_path}/starts; test $(wc -l <{tmp_path}/starts) -gt 1 && sleep 99",
    ]
    ready = init.Process("ready", ["/bin/sh", "-c", f"touch {tmp_path}/ready"], once=True)
    daemon = init.Process("daemon", counter, needs=[f"{tmp_path}/ready"])
    (tmp_path / "starts").touch()
    with _machine(tmp_path, [ready, daemon]) as machine:
        wait_for(lambda: (tmp_path / "starts").read_text() == "x\nx\n", 10)
        first = int(_children(machine.pid)[0])
        os.kill(first, signal.SIGTERM)
        assert machine.wait(10) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_first_process_ends_where_a_needed_step_fails(tmp_path: Path) -> None:
    failing = init.Process("step", ["/bin/sh", "-c", "echo broken; exit 3"], once=True)
    with _machine(tmp_path, [failing]) as machine:
        assert machine.wait(10) == 1
        assert machine.stderr
        assert b"step ended with status 3: see step.log" in machine.stderr.read()
    assert (tmp_path / "step.log").read_text() == "broken\n"


def _machine(directory: Path, processes: list[init.Process]) -> subprocess.Popen[bytes]:
    specification = directory / "machine.json"
    machine = init.Machine("m", str(directory), processes)
    specification.write_text(json.dumps(asdict(machine)))
    argv = ["unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
    argv += [sys.executable, "-I", "-S", str(init.__file__), str(specification)]
    return subprocess.Popen(argv, stderr=subprocess.PIPE)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
