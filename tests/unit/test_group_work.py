"""What a group trains on in rounds, as its ledger says it, and how parameters follow versions."""

import dataclasses

import numpy as np
import pytest
from msgspec.structs import replace

from edgetrain.data import Block, SamplerState
from edgetrain.engine.state.ledger import Ledger
from edgetrain.envoy.work_vectors import WorkVectors
from edgetrain.link import FormationId
from edgetrain.payload.codec import Floats
from edgetrain.payload.packing import Packing
from edgetrain.rounds.envoy import Ledger as WorkLedger
from edgetrain.rounds.group_work import GroupWork
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import RoundPayload
from tests.support.rounds_group import Numbers

HISTORY = History(1, "north", 1)
FORMATION = FormationId(HISTORY, 1, 1)
SAMPLES, EPOCHS = 10, 3
NUMBERS = 600


def ledger(*untrained: Block, batch: int = 4, epoch: int = 0) -> Ledger:
    """Of a group to which these positions of the run are leased."""
    record = replace(SamplerState.fresh(SAMPLES, 0), epoch=epoch)
    return Ledger(record, batch, EPOCHS, work=GroupWork(WorkLedger(HISTORY, 0), untrained))


def work(of: Ledger) -> GroupWork:
    assert of.work is not None
    return of.work


def test_steps_are_cut_from_what_is_leased_until_it_is_trained_on() -> None:
    now, seen = ledger(Block(3, 8), Block(12, 15)), []
    while (shared := now.share_out(FORMATION, ["a"])).cut:
        seen.append((shared.cut.epoch, shared.cut.slices["a"]))
        now = shared.committed(len(seen), 0.5)
    # A batch may reach into the next epoch: its positions count from the start of the one it begins in.
    assert seen == [(0, (3, 4, 5, 6)), (0, (7, 12, 13, 14))]
    assert work(now).steps == 2 and now.idle
    assert work(now).ledger.blocks == (Block(3, 8), Block(12, 15))


def test_an_epoch_is_over_where_nothing_of_it_is_left_and_earlier_data_come_in_a_later_one() -> None:
    later = ledger(Block(21, 24)).share_out(FORMATION, ["a"])
    assert later.record.over(2) and not later.record.over(3)
    again = ledger(Block(7, 9), epoch=1).share_out(FORMATION, ["a"])
    assert again.cut and (again.cut.epoch, again.cut.slices["a"]) == (1, (-3, -2))
    assert work(again.committed(1, 0.5)).ledger.blocks == (Block(7, 9),)


def test_what_a_lost_member_had_in_hand_stays_to_be_trained_on() -> None:
    shared = ledger(Block(0, 8)).share_out(FORMATION, ["a", "b"])
    assert shared.cut and {name: len(part) for name, part in shared.cut.slices.items()} == {"a": 2, "b": 2}
    lost = shared.cut.slices["b"]
    done = shared.kept_by(["a"]).committed(1, 0.5)
    assert work(done).untrained[0].start == lost[0] and done.returned == 2
    nobody = shared.kept_by([])
    assert nobody.cut is None and work(nobody).untrained == (Block(0, 8),)


def test_a_group_for_which_nothing_is_left_has_done_all_epochs() -> None:
    over = GroupWork(WorkLedger(HISTORY, 7), over=True, merged=30, total=30)
    done = ledger().merged(over)
    assert done.over and done.part_done(EPOCHS) == 1.0
    assert Ledger.from_json(done.to_json()) == done


@pytest.fixture
def theta() -> Floats:
    return np.zeros(3, np.float32)


def begun(theta: Floats) -> tuple[WorkVectors, GroupWork]:
    """It begins with a version of ones."""
    vectors, work = WorkVectors(Numbers(theta)), GroupWork(WorkLedger(HISTORY, 0), (Block(0, 8),))
    vectors.follow(None, work, np.ones(3, np.float32))
    return vectors, work


def test_what_was_done_since_the_push_is_kept(theta: Floats) -> None:
    vectors, work = begun(theta)
    theta += 2
    pushed = work.stepped((Block(0, 4),), 4).pushed()
    vectors.follow(work, pushed, None)
    np.testing.assert_array_equal(vectors.update().view(np.float32), [2, 2, 2])
    theta += 0.5
    on = pushed.stepped((Block(4, 8),), 4)
    vectors.follow(on, on.applied(1), np.full(3, 5, np.float32))
    np.testing.assert_array_equal(theta, [5.5, 5.5, 5.5])
    assert vectors.pushed is None


def test_a_version_is_taken_to_the_last_bit_where_nothing_was_done_since(theta: Floats) -> None:
    vectors, work = begun(theta)
    theta += np.float32(0.1)
    pushed = work.stepped((Block(0, 4),), 4).pushed()
    vectors.follow(work, pushed, None)
    version = np.array([1e-8, 0.3, 7e7], np.float32)
    vectors.follow(pushed, pushed.applied(1), version)
    np.testing.assert_array_equal(theta, version)


def test_a_push_that_was_refused_since_it_is_not_finite_is_left_behind(theta: Floats) -> None:
    vectors, work = begun(theta)
    theta[0] = np.inf
    pushed = work.stepped((Block(0, 4),), 4).pushed()
    vectors.follow(work, pushed, None)
    on = pushed.stepped((Block(4, 8),), 4)
    vectors.follow(on, on.applied(0), np.ones(3, np.float32))
    np.testing.assert_array_equal(theta, [1, 1, 1])


def packed_push(vectors: WorkVectors, work: GroupWork, payload: RoundPayload) -> tuple[GroupWork, Floats]:
    """After a step. Returns what the others get, too."""
    pushed = work.stepped((), 4).pushed(payload)
    vectors.follow(work, pushed, None)
    return pushed, Packing(payload, NUMBERS, NUMBERS - 1).unpacked(vectors.update())


@pytest.mark.parametrize("others", [0.0, 0.25], ids=["alone", "with another"])
def test_what_packing_leaves_out_goes_with_later_work(others: float) -> None:
    """All that was trained is in what was sent, but for what the last push has left out."""
    draw = np.random.default_rng(4)
    theta = np.zeros(NUMBERS, np.float32)
    vectors, work = WorkVectors(Numbers(theta), 1), GroupWork(WorkLedger(HISTORY, 0))
    version = np.zeros(NUMBERS, np.float32)
    vectors.follow(None, work, version)
    trained, sent = np.zeros(NUMBERS), np.zeros(NUMBERS)
    for seq in range(1, 40):
        # Numbers so small beside the largest that no single push holds them.
        step = (draw.normal(size=NUMBERS) * np.where(np.arange(NUMBERS) % 7, 1e-4, 1) + 1e-4).astype(
            np.float32
        )
        theta += step
        trained += step
        pushed, update = packed_push(vectors, work, RoundPayload.INT8)
        sent += update
        late = np.full(NUMBERS, 1e-3, np.float32)
        theta += late
        trained += late
        version = version + update + np.float32(others)
        on = pushed.stepped((), 4)
        work = on.applied(seq)
        vectors.follow(on, work, version)
    left = theta - version
    np.testing.assert_allclose(sent + left, trained, atol=2e-4)
    assert np.abs(left).max() < 4 / 127 + 2e-3, "it does not grow"


def test_all_end_with_the_very_bits_of_the_last_version() -> None:
    theta = np.zeros(NUMBERS, np.float32)
    vectors, work = WorkVectors(Numbers(theta)), GroupWork(WorkLedger(HISTORY, 0))
    vectors.follow(None, work, np.zeros(NUMBERS, np.float32))
    theta += np.linspace(0, 1, NUMBERS, dtype=np.float32)
    pushed = work.stepped((), 4).pushed(RoundPayload.INT8)
    vectors.follow(work, pushed, None)
    version = np.full(NUMBERS, 0.5, np.float32)
    settled = pushed.applied(1)
    vectors.follow(pushed, settled, version)
    assert (theta != version).any(), "with what packing has left out"
    vectors.follow(settled, dataclasses.replace(settled, over=True), None)
    np.testing.assert_array_equal(theta, version)
