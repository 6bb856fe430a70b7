"""What a member carries from step to step, on its way through a checkpoint."""

import io
from typing import Any

import torch

from edgetrain.engine.state.carried import NOTHING_CARRIED, Carried
from edgetrain.engine.state.snapshot import Snapshot, decode, encode
from tests.support.checkpoints import snapshot

CARRIED = Carried(torch.arange(3.0), torch.arange(8.0))


def saved_by(worker: str, carried: Carried) -> Snapshot:
    made = snapshot(1, 10)
    document = carried.to_document(worker)
    return decode(
        encode(Snapshot(made.position, made.ledger, made.layout, made.objects, made.random, document))
    )


def alike(one: Carried, other: Carried) -> bool:
    pairs = ((one.residue, other.residue), (one.factors, other.factors))
    return all(
        (a is None and b is None) or (a is not None and b is not None and a.equal(b)) for a, b in pairs
    )


def test_its_own_worker_gets_all_of_it_and_others_what_all_have_alike() -> None:
    found = saved_by("a", CARRIED).carried
    assert alike(Carried.from_document(found, "a", 3), CARRIED)
    assert alike(Carried.from_document(found, "b", 3), Carried(None, CARRIED.factors))


def test_of_another_size_it_is_of_no_use() -> None:
    assert Carried.from_document(saved_by("a", CARRIED).carried, "a", 4).residue is None


def test_a_checkpoint_of_before_has_nothing_of_it_and_is_read() -> None:
    document: dict[str, Any] = torch.load(io.BytesIO(encode(snapshot(1, 10))), weights_only=True)
    del document["carried"]
    out = io.BytesIO()
    torch.save(document, out)
    old = decode(out.getvalue())
    assert old.position.committed == 10
    assert alike(Carried.from_document(old.carried, "a", 3), NOTHING_CARRIED)


def test_what_an_older_version_would_read_is_all_there() -> None:
    """Its format is the same: a rollback resumes too."""
    document: dict[str, Any] = torch.load(io.BytesIO(encode(snapshot(1, 10))), weights_only=True)
    assert document["format"] == 1


def test_factors_are_told_apart_by_any_bit() -> None:
    assert CARRIED.factors is not None
    other = CARRIED.factors.clone()
    other[3] += 2**-20
    assert NOTHING_CARRIED.checksum == 0
    assert len({NOTHING_CARRIED.checksum, CARRIED.checksum, Carried(None, other).checksum}) == 3
