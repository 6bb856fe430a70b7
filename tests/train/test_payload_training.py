"""Groups of real trainers that pack their gradients: losses, newcomers and other plans spoil nothing."""

import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain import link
from edgetrain.link import Decision
from tests.support.trainers import Coordinator, check_exact, coordinating, decided, stop_all

PACKED = ["bf16", "int8", "lowRank"]
WAYS = [("ring", "int8"), ("star", "int8"), ("ring", "lowRank"), ("star", "lowRank"), ("star", "bf16")]
LARGE = {"width": 32}
"""With a matrix that low rank makes narrow."""
LOUD = {**LARGE, "loud": 1000.0}
"""With marks that can be told from errors of rounding."""
PACKS = {
    "engine.buckets.FIRST_BYTES": 512,
    "engine.buckets.LARGEST_BYTES": 1024,
    "engine.buckets.QUICK_SECONDS": 0,
    "engine.formation.ring.SMALL_BYTES": 0,
    "engine.formation.star.PIECE_BYTES": 256,
    "payload.low_rank.RANK": 1,
}
"""As with a large model: several buckets, of several pieces, and none is too small to be packed."""


def check_balance(group: Coordinator, left_before: Any = ()) -> None:
    """All members hold the same bits. What came out of all sums, with what is left over, is what went in:
    nothing counted twice, nothing lost."""
    found = group.summaries()
    assert len({s["digest"] for s in found}) == 1
    accounts = [s["accounts"] for s in found]
    assert len({a["steps"] for a in accounts}) == 1
    brought, left = (np.sum([a[name] for a in accounts], axis=0) for name in ("brought", "left"))
    rounding = 2e-7 * max(np.abs(a["brought"]).max() for a in accounts)
    brought += np.sum([before[: len(brought)] for before in left_before], axis=0)
    np.testing.assert_allclose(np.array(accounts[0]["got"]) + left, brought, atol=rounding)
    assert np.abs(left).max() > 50 * rounding, "so little was left out that the balance shows nothing"


@pytest.mark.parametrize("members", ["ab", "abcd"])
@pytest.mark.parametrize(("reduction", "payload"), WAYS)
def test_a_group_trains_to_the_end(tmp_path: Path, reduction: str, payload: str, members: str) -> None:
    options = {"constants": PACKS, **LOUD}
    with coordinating(tmp_path, reduction=reduction, payload=payload, **options) as group:
        group.start(group.spawn_all(*members))
        group.run()
        check_exact(group)
        stop_all(group)


@pytest.mark.parametrize(
    ("fault", "decision"),
    [
        ({"c": {"break": {"after_vote": 4}}}, Decision.APPLY),
        ({"b": {"break": {"before_reduce": 4}}}, Decision.REDO),
    ],
)
@pytest.mark.parametrize(("reduction", "payload"), WAYS[:4])
def test_what_a_step_leaves_out_counts_once_however_the_step_went(
    tmp_path: Path, reduction: str, payload: str, fault: dict[str, dict[str, Any]], decision: Decision
) -> None:
    options = {"constants": PACKS, "accounts": True, **LARGE}
    with coordinating(tmp_path, reduction=reduction, payload=payload, **options) as group:
        group.start(group.spawn_all("a", "b", "c", options=fault))
        group.run()
        assert decided(group, 4) is decision
        check_balance(group)
        stop_all(group)


@pytest.mark.parametrize(("reduction", "payload"), WAYS)
def test_a_member_that_is_killed_in_the_middle_of_a_step_and_one_that_joins(
    tmp_path: Path, reduction: str, payload: str
) -> None:
    options = {"constants": PACKS, "epochs": 30, "leash": 0.15, **LOUD}
    with coordinating(tmp_path, reduction=reduction, payload=payload, **options) as group:
        group.start(group.spawn_all("a", "b", "c", options={"b": {"die": {"before_vote": 5}}}))
        group.until(group.broken)
        group.reform()
        group.join(group.spawn("d", model_seed=9))
        group.run()
        check_exact(group)
        assert [t.worker for t in group.members] == ["a", "c", "d"]
        stop_all(group)


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_any_moment(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    reduction, payload = chance.choice(WAYS[:4])
    options = {"constants": PACKS, "epochs": 40, "leash": 0.15, **LOUD}
    with coordinating(tmp_path, reduction=reduction, payload=payload, **options) as group:
        group.start(group.spawn_all("a", "b", "c", "d"))
        group.replace_at_any_moment(chance, "e", "f")
        group.run()
        check_exact(group)
        stop_all(group)


@pytest.mark.parametrize(("reduction", "payload"), WAYS[:4])
def test_backward_that_comes_by_twice_is_packed_and_counted_once(
    tmp_path: Path, reduction: str, payload: str
) -> None:
    options = {"constants": PACKS, "accounts": True, "twice": True, **LARGE}
    with coordinating(tmp_path, reduction=reduction, payload=payload, **options) as group:
        group.start(group.spawn_all("a", "b", "c"))
        group.run()
        check_balance(group)
        stop_all(group)


def test_the_aggregator_is_lost(tmp_path: Path) -> None:
    options = {"constants": PACKS, "epochs": 20, "leash": 0.15, **LOUD}
    with coordinating(tmp_path, reduction="star", payload="int8", **options) as group:
        group.start(group.spawn_all("a", "b", "c"))
        group.until(lambda: group.committed() >= 5)
        group.members[0].signal(signal.SIGKILL)
        group.until(group.broken)
        group.reform()
        group.run()
        check_exact(group)
        stop_all(group)


def test_another_payload_at_each_formation_loses_nothing(tmp_path: Path) -> None:
    """As when plans change it while training: what one has left out goes with the next."""
    options = {"constants": PACKS, "epochs": 30, "leash": 0.15, "accounts": True, **LARGE}
    with coordinating(tmp_path, payload="int8", **options) as group:
        group.start(group.spawn_all("a", "b", "c"))
        for payload in ("lowRank", "fp32", "lowRank", "int8", "int8"):
            group.step_after(group.reform)
            group.payload = payload
        group.run()
        check_balance(group)
        stop_all(group)


def test_one_member_alone_packs_nothing(tmp_path: Path) -> None:
    with coordinating(tmp_path, payload="int8", constants=PACKS, accounts=True, **LARGE) as group:
        group.start(group.spawn_all("a"))
        group.run()
        (account,) = [s["accounts"] for s in group.summaries()]
        assert account["got"] == account["brought"] and not any(account["left"])
        stop_all(group)


@pytest.mark.parametrize("payload", ["int8", "lowRank"])
def test_a_checkpoint_holds_what_was_left_out(tmp_path: Path, payload: str) -> None:
    """Resumed by those that wrote it: each goes on with its own residue."""
    options = {
        "constants": PACKS,
        "epochs": 20,
        "leash": 0.2,
        "checkpoint_every": 0.0,
        "accounts": True,
        **LARGE,
    }
    with coordinating(tmp_path, payload=payload, **options) as group:
        group.start(group.spawn_all("a", "b"))
        group.until(lambda: any(t.last(link.Checkpointed) for t in group.members))
        group.until(lambda: group.committed() >= 6)
        for trainer in group.members:
            trainer.send(link.Stop())
        group.until(lambda: not any(t.alive for t in group.members))
        saved = [t.last(link.Checkpointed) for t in group.members]
        assert saved[0].digest == saved[1].digest
    lefts = [_residue(Path(one.path)) for one in saved]
    assert all(left.any() for left in lefts) and (lefts[0] != lefts[1]).any()
    with coordinating(tmp_path, payload=payload, **options) as group:
        resume = link.Resume(saved[0].step, saved[0].history, saved[0].digest)
        group.start(group.spawn_all("a", "b"), resume)
        group.run()
        check_balance(group, lefts)
        stop_all(group)


def _residue(checkpoint: Path) -> "np.ndarray[Any, Any]":
    import torch

    residue: torch.Tensor = torch.load(checkpoint, weights_only=True)["carried"]["residue"]
    return residue.double().numpy()
