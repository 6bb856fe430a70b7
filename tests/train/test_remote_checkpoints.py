"""Checkpoints and model in a remote store: real workers, and a real S3 server."""

import hashlib
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.waiting import wait_for
from edgetrain_protocol.plan import Origin
from tests.support.group import ROOT, LocalGroup, training_command
from tests.support.identities import JOB
from tests.support.s3_server import S3

START_SECONDS = 90


@contextmanager
def workers(root: Path, s3: S3, *purposes: str, epochs: int = 2000) -> Iterator[LocalGroup]:
    """Two, on nodes that have nothing."""
    uris = {}
    for purpose in purposes or ("checkpoint",):
        s3.write_keys(root / "keys" / purpose)
        uris[f"EDGETRAIN_{purpose.upper()}_URI"] = "s3://bucket/digits"
    env = {
        "PYTHONPATH": str(ROOT),
        "EDGETRAIN_KEYS": ",".join(purposes or ("checkpoint",)),
        "EDGETRAIN_KEYS_DIR": str(root / "keys"),
        **uris,
    }
    group = LocalGroup(root, training_command(epochs), 2, env=env)
    try:
        yield group
    finally:
        group.close()


def manifests(s3: S3) -> dict[str, dict[str, Any]]:
    """What the store says of this job's checkpoints, by name, the newest last."""
    names = [
        name for name in s3.names() if name.startswith(f"digits/{JOB}/lineage-") and name.endswith(".json")
    ]
    return {name: json.loads(s3.get(name)) for name in names}


def test_checkpoints_go_to_the_store_and_a_job_without_nodes_comes_back_from_there(
    tmp_path: Path, s3: S3
) -> None:
    with workers(tmp_path / "before", s3) as group:
        group.give(group.plan(checkpoint_every_seconds=1))
        group.start()
        wait_for(lambda: len(manifests(s3)) == 2, START_SECONDS, group.tail)
    *_, newest = manifests(s3).values()
    assert newest["job"] == JOB and newest["step"] > 0
    with workers(tmp_path / "after", s3) as group:
        lineage, name, generation = newest["history"]
        origin = Origin(
            lineage=lineage, group=name, generation=generation, step=newest["step"], digest=newest["identity"]
        )
        group.give(group.plan(generation=2, origin=origin, checkpoint_every_seconds=1000))
        group.start()
        wait_for(lambda: all(worker.commits for worker in group.workers), START_SECONDS, group.tail)
        first = {worker.commits[0]["step"] for worker in group.workers}
        assert first == {newest["step"] + 1}
        assert group.whole()


def test_who_is_told_to_stop_has_the_store_hold_its_last_step(tmp_path: Path, s3: S3) -> None:
    with workers(tmp_path, s3) as group:
        group.give(group.plan(checkpoint_every_seconds=1000))
        group.start()
        wait_for(lambda: group.step > 3, START_SECONDS, group.tail)
        assert manifests(s3) == {}
        for worker in group.workers:
            assert worker.process is not None
            worker.process.send_signal(signal.SIGTERM)
        wait_for(lambda: all(worker.ended for worker in group.workers), 30, group.tail)
        (saved,) = manifests(s3).values()
        assert saved["step"] >= group.step


def test_the_model_is_in_the_store_before_those_end_who_have_trained_it(tmp_path: Path, s3: S3) -> None:
    with workers(tmp_path, s3, "model", epochs=3) as group:
        group.give(group.plan())
        group.start()
        wait_for(lambda: all(worker.ended for worker in group.workers), START_SECONDS, group.tail)
        (model,) = {
            (worker.directory / "model" / "model.safetensors").read_bytes() for worker in group.workers
        }
        assert s3.names() == ["digits/model.safetensors", "digits/model.safetensors.sha256"]
        assert s3.get("digits/model.safetensors") == model
        sha256 = hashlib.sha256(model).hexdigest()
        assert s3.get("digits/model.safetensors.sha256").decode() == f"{sha256}  model.safetensors\n"
