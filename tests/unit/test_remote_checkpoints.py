"""Checkpoints pushed to a store and restored from it: by pieces, whole or not at all, the last two kept."""

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgetrain.remote.checkpoints import PIECE_BYTES, RemoteCheckpoints
from edgetrain.remote.errors import HashDiffers, RemoteError, Unreachable
from edgetrain.remote.pace import Pace
from edgetrain.remote.patience import Patience
from edgetrain.remote.store import RemoteStore

LARGE = random.Random(1).randbytes(2 * PIECE_BYTES + 5)


def name(step: int, group: str = "all", generation: int = 1) -> str:
    return f"lineage-0001-{group}-{generation:04d}-step-{step:010d}"


def saved(root: Path, step: int, data: bytes = b"state", **place: object) -> Path:
    """As the engine writes it; returns its manifest."""
    root.mkdir(exist_ok=True)
    manifest = root / f"{name(step, **place)}.json"  # type: ignore[arg-type]
    manifest.with_suffix(".pt").write_bytes(data)
    manifest.write_text(
        json.dumps({"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "step": step})
    )
    return manifest


@dataclass
class Stores:
    """One below a directory; `fails` writes after so many."""

    root: Path
    fails: int | None = None
    written: list[str] = field(default_factory=list)

    def checkpoints(self) -> RemoteCheckpoints:
        uri, outer = f"file://{self.root}/job", self

        class Counting(RemoteStore):
            def write(self, uri: str, data: bytes) -> None:
                if outer.fails is not None and len(outer.written) >= outer.fails:
                    raise Unreachable("cut off")
                outer.written.append(uri.rpartition("/")[2])
                super().write(uri, data)

        patience = Patience((0.0, 0.0), wait=lambda seconds: None, endless=False)
        return RemoteCheckpoints(Counting(uri, {}), uri, patience, lambda count: None)

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in (self.root / "job").iterdir())


def test_what_is_pushed_is_restored_bit_by_bit(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "remote")
    stores.checkpoints().push(saved(tmp_path / "own", 10, LARGE), None)
    stores.checkpoints().mirror(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{name(10)}.json"]
    stores.checkpoints().restore(tmp_path / "new" / f"{name(10)}.json")
    assert (tmp_path / "new" / f"{name(10)}.pt").read_bytes() == LARGE


def test_a_push_goes_on_with_what_is_missing_and_counts_once_it_is_whole(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "remote", fails=2)
    manifest = saved(tmp_path / "own", 10, LARGE)
    with pytest.raises(Unreachable):
        stores.checkpoints().push(manifest, None)
    stores.checkpoints().mirror(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    stores.fails = None
    stores.checkpoints().push(manifest, None)
    assert stores.written == ["00000", "00001", "00002", manifest.name]


def test_the_last_two_of_each_group_are_kept(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "remote")
    for step in (10, 20, 30):
        stores.checkpoints().push(saved(tmp_path / "own", step), None)
    stores.checkpoints().push(saved(tmp_path / "own", 5, group="other-site"), None)
    stores.checkpoints().push(saved(tmp_path / "own", 25, generation=2), None)
    manifests = [one for one in stores.names if one.endswith(".json")]
    assert manifests == [
        f"{name(30)}.json",
        f"{name(25, generation=2)}.json",
        f"{name(5, 'other-site')}.json",
    ]
    assert len(stores.names) == 6
    # One that was given up, and lives on, takes nothing of what came after it.
    stores.checkpoints().push(saved(tmp_path / "own", 15), None)
    assert {*manifests, f"{name(15)}.json"} <= {*stores.names}


def test_what_is_told_of_no_more_goes_from_here_too(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "remote")
    for step in (10, 20):
        stores.checkpoints().push(saved(tmp_path / "own", step), None)
    stores.checkpoints().mirror(tmp_path / "new")
    stores.checkpoints().restore(tmp_path / "new" / f"{name(10)}.json")
    stores.checkpoints().push(saved(tmp_path / "own", 30), None)
    stores.checkpoints().mirror(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        f"{name(20)}.json",
        f"{name(30)}.json",
    ]


def test_what_was_damaged_there_is_not_restored(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "remote")
    stores.checkpoints().push(saved(tmp_path / "own", 10), None)
    (piece,) = (tmp_path / "remote").rglob("00000")
    piece.write_bytes(b"other")
    stores.checkpoints().mirror(tmp_path / "new")
    with pytest.raises(HashDiffers, match="is damaged"):
        stores.checkpoints().restore(tmp_path / "new" / f"{name(10)}.json")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{name(10)}.json"]
    piece.write_bytes(b"cut")
    with pytest.raises(RemoteError, match="broke off: 3 of 5 bytes"):
        stores.checkpoints().restore(tmp_path / "new" / f"{name(10)}.json")


@pytest.mark.parametrize(("others", "waited"), [(0, 3.0), (1000, 9.0)])
def test_a_link_in_use_is_left_alone_for_longer(others: int, waited: float) -> None:
    """A piece of 1000 bytes took a second; `others`: bytes of theirs in each second of a pause."""
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(lambda: int(others * now[0]), wait, lambda: now[0])
    pace.after(1000, 1.0)
    assert now[0] == waited
