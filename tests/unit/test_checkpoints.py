"""What is on a volume beside good checkpoints: leftovers are cleared, damage is named and passed over."""

import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.durable_files import ABANDONED_SECONDS, write_durably
from edgetrain.engine.errors import BadCheckpoint
from edgetrain.engine.state import manifest
from edgetrain.engine.state.checkpoint import KEEP, Checkpoints
from edgetrain.engine.state.snapshot import encode
from tests.support.checkpoints import newest, saved, snapshot
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def leave_behind(directory: Path) -> None:
    """As writers do that are killed while they write."""
    directory.mkdir(exist_ok=True)
    (directory / ".lineage-0001-step-0000000020.pt.0a1b2c3d").write_bytes(b"half of it")
    (directory / ".lineage-0001-step-0000000020.json.0a1b2c3d").write_bytes(b"{")
    (directory / "lineage-0001-step-0000000015.pt").write_bytes(b"no manifest came after it")


@pytest.mark.attack(19)
def test_what_killed_writers_have_left_is_cleared_at_the_start(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path)
    before = names(tmp_path / "a")
    leave_behind(tmp_path / "a")
    leave_behind(tmp_path / "b")
    others = names(tmp_path / "b")
    checkpoints.clear()
    assert names(tmp_path / "a") == before
    assert names(tmp_path / "b") == others, "another worker's: it may be writing"
    found, damages = newest(checkpoints, 10)
    assert found is not None and damages == []


def test_and_at_each_save(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path)
    leave_behind(tmp_path / "a")
    checkpoints.save(snapshot(1, 30))
    assert names(tmp_path / "a") == [
        f"{manifest.stem(FIRST_HISTORY, step)}.{kind}" for step in (10, 30) for kind in ("json", "pt")
    ]


def test_what_another_process_of_this_worker_is_writing_is_left_alone(tmp_path: Path) -> None:
    """A pod whose deletion was forced while its node was dark may live on."""
    checkpoints = saved(tmp_path)
    leave_behind(tmp_path / "a")
    before = names(tmp_path / "a")
    handle = os.open(tmp_path / "a", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    checkpoints.clear()
    assert names(tmp_path / "a") == before
    os.close(handle)
    checkpoints.clear()
    assert names(tmp_path / "a") != before


def test_a_directory_that_is_not_there_has_nothing_to_clear(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "none", "a").clear()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "value", ["1e400", "-1e400", "NaN", "-1", "1.5", "true", "null", '"10"', "9" * 30, "[]"]
)
@pytest.mark.parametrize("name", ["lineage", "generation", "step", "bytes"])
@pytest.mark.attack(20)
def test_a_manifest_with_a_number_that_counts_nothing_is_damage(
    tmp_path: Path, name: str, value: str
) -> None:
    checkpoints = saved(tmp_path, steps=(10, 20))
    file = tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 20)}.json"
    numbers = json.loads(file.read_text())
    place = {"lineage": ["HERE", "all", 1], "generation": [1, "all", "HERE"]}.get(name)
    changed = {"history": place} if place else {name: "HERE"}
    file.write_text(json.dumps({**numbers, **changed}).replace('"HERE"', value))
    found, damages = newest(checkpoints, 100)
    assert found is not None and found.position.committed == 10
    assert [f"{file} is damaged" in str(d) and f"{name} is no count" in str(d) for d in damages] == [True]


@pytest.mark.attack(20)
def test_manifests_that_are_no_files_are_damage(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path)
    (tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 20)}.json").mkdir()
    os.mkfifo(tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 21)}.json")
    (tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 22)}.json").write_bytes(b"\xff" * 5000)
    (tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 23)}.json").write_bytes(b"[" * 4000)
    (tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 24)}.json").symlink_to("nowhere")
    found, damages = newest(checkpoints, 100)
    assert found is not None and found.position.committed == 10
    assert len(damages) == 4
    # None of it is in the way of the next ones, nor takes their place.
    for step in (30, 40, 50, 60):
        checkpoints.save(snapshot(1, step))
    kept = [name for name in names(tmp_path / "a") if name.endswith(".pt")]
    assert kept == [f"{manifest.stem(FIRST_HISTORY, step)}.pt" for step in (40, 50, 60)]


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=70),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["history", "lineage", "step", "bytes", "sha256", "identity", "job"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ).map(lambda document: json.dumps(document).encode())
)
def test_whatever_a_manifest_holds_it_is_read_or_it_is_damage(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / f"{manifest.stem(FIRST_HISTORY, 20)}.json"
    file.write_bytes(content)
    try:
        found = manifest.read(file)
    except BadCheckpoint as damage:
        assert str(file) in str(damage)
    else:
        assert (found.place, found.path) == ((FIRST_HISTORY, 20), file.with_suffix(".pt"))


@pytest.mark.attack(20)
def test_a_manifest_of_another_checkpoint_than_its_name_says_is_damage(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, steps=(10, 20))
    own = tmp_path / "a"
    (own / f"{manifest.stem(FIRST_HISTORY, 10)}.json").rename(
        own / f"{manifest.stem(FIRST_HISTORY, 30)}.json"
    )
    (own / f"{manifest.stem(FIRST_HISTORY, 10)}.pt").rename(own / f"{manifest.stem(FIRST_HISTORY, 30)}.pt")
    found, damages = newest(checkpoints, 100)
    assert found is not None and found.position.committed == 20
    assert ["it is of lineage 1, group all, generation 1, step 10" in str(damage) for damage in damages] == [
        True
    ]


@pytest.mark.attack(20)
def test_a_file_whose_content_is_of_another_step_is_damage(tmp_path: Path) -> None:
    """Renamed by hand, with a manifest that fits its bytes."""
    checkpoints = saved(tmp_path, steps=(10,))
    data = encode(snapshot(2, 7))
    path = tmp_path / "a" / f"{manifest.stem(FIRST_HISTORY, 30)}.pt"
    path.write_bytes(data)
    forged = manifest.Manifest(
        FIRST_HISTORY, 30, len(data), hashlib.sha256(data).hexdigest(), path, "0" * 64, ""
    )
    path.with_suffix(".json").write_text(forged.to_json())
    found, damages = newest(checkpoints, 100)
    assert found is not None and found.position.committed == 10
    assert [str(damage) for damage in damages] == [
        f"checkpoint {path} holds lineage 1, group all, generation 2, step 7, which is not what its name "
        "says: delete it; the checkpoint before it is used"
    ]


def test_another_jobs_checkpoints_are_none_of_this_ones(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "a", "another").save(snapshot(1, 9000))
    checkpoints = Checkpoints(tmp_path, "a", "this")
    checkpoints.save(snapshot(1, 10))
    assert [m.step for m in checkpoints.held()] == [10]
    assert checkpoints.find(FIRST_HISTORY, 9000, snapshot(1, 9000).identity) == (None, [])


def test_jobs_that_share_a_volume_write_and_forget_their_own_alone(tmp_path: Path) -> None:
    one, other = (Checkpoints(tmp_path, "a", job) for job in ("one", "other"))
    for step in (10, 20, 30, 40):
        for checkpoints in (one, other):
            checkpoints.save(snapshot(1, step))
    for checkpoints in (one, other):
        assert [m.step for m in checkpoints.held()] == [20, 30, 40]
        assert newest(checkpoints, 100)[1] == []


def test_a_pod_that_was_given_up_does_not_remove_a_later_generations(tmp_path: Path) -> None:
    later, given_up = saved(tmp_path, generation=2, steps=(5, 6, 7)), Checkpoints(tmp_path, "a")
    for step in (10, 20, 30, 40):
        given_up.save(snapshot(1, step))
    assert [(m.history.generation, m.step) for m in later.held()] == [
        (1, 20),
        (1, 30),
        (1, 40),
        (2, 5),
        (2, 6),
        (2, 7),
    ]


def test_an_earlier_jobs_checkpoints_do_not_push_out_this_ones(tmp_path: Path) -> None:
    """A hostPath outlives its job."""
    checkpoints = saved(tmp_path, steps=(9001, 9002, 9003))
    for step in (10, 20, 30, 40):
        checkpoints.save(snapshot(1, step))
    found, damages = newest(checkpoints, 100)
    assert found is not None and found.position.committed == 40 and damages == []
    assert len(list((tmp_path / "a").glob("*.pt"))) == 3 + KEEP


def test_a_new_generation_goes_before_any_step_of_an_old_one(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, generation=9999, steps=(100, 110))
    for step in (5, 6):
        checkpoints.save(snapshot(10000, step))
    found, _ = newest(checkpoints, 1000)
    assert found is not None and (found.position.history.generation, found.position.committed) == (10000, 6)
    assert sorted(names(tmp_path / "a"))[-1] == f"{manifest.stem(of_generation(9999), 110)}.pt"
    assert len(names(tmp_path / "a")) == 2 * KEEP


@pytest.mark.attack(19)
def test_drafts_of_a_model_that_kills_have_left_go_and_those_being_written_stay(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    names = (f".{model.name}.1", f".{model.name}.2", ".other.1")
    left, written, other = (tmp_path / name for name in names)
    for draft in (left, written, other):
        draft.write_text("draft")
    for old in (left, other):
        os.utime(old, (0, time.time() - ABANDONED_SECONDS - 1))
    write_durably(model, b"model")
    assert sorted(tmp_path.iterdir()) == sorted([model, written, other])
    assert model.read_bytes() == b"model"
