"""The data record: each epoch sees each sample exactly once, whatever is lost and however it is cut."""

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.data import ALL_STEPS, BatchPartition, Block, SamplerState, cut
from edgetrain.engine.state.ledger import Ledger
from edgetrain.epoch_order import EpochOrder
from edgetrain.link import FormationId
from tests.support.histories import FIRST

MEMBERS = ["a", "b", "c", "d", "e"]


@st.composite
def fates(draw: st.DrawFn) -> list[tuple[dict[str, float], set[str], bool]]:
    """For each attempt: the members' weights, who of them is lost meanwhile, and whether it commits."""
    step = st.tuples(
        st.dictionaries(st.sampled_from(MEMBERS), st.floats(0.1, 10), min_size=1),
        st.sets(st.sampled_from(MEMBERS)),
        st.booleans(),
    )
    return draw(st.lists(step, max_size=60))


@given(st.integers(1, 50), st.integers(1, 20), fates(), st.integers(0, 3))
def test_each_epoch_sees_each_sample_once(
    samples: int, batch: int, fate: list[tuple[dict[str, float], set[str], bool]], seed: int
) -> None:
    epochs = 2
    record = SamplerState.fresh(samples, seed)
    seen: Counter[tuple[int, int]] = Counter()

    def commit(step: BatchPartition) -> SamplerState:
        order = EpochOrder(samples, seed, step.epoch)
        seen.update((step.epoch, i) for part in step.slices.values() for i in order.indices(part))
        return step.after

    for weights, lost, commits in fate:
        if record.over(epochs):
            break
        step = cut(record, batch, weights)
        assert step.samples > 1 or 1 in (samples, batch)
        step = step.kept_by(weights.keys() - lost)
        record = (
            commit(msgspec.json.decode(msgspec.json.encode(step), type=BatchPartition)) if commits else record
        )
    while not record.over(epochs):
        record = commit(cut(record, batch, {"a": 1.0}))
    assert seen == Counter({(epoch, i): 1 for epoch in range(epochs) for i in range(samples)})
    assert record.part_done(epochs) == 1.0


def test_a_lost_part_goes_out_with_the_steps_that_are_left() -> None:
    first = cut(SamplerState.fresh(10, 0), 4, {"a": 1, "b": 1}).kept_by({"a"})
    assert first.slices == {"a": (0, 1)}
    second = cut(first.after, 4, {"a": 1})
    assert second.slices == {"a": (2, 4, 5, 6, 7)}
    assert cut(second.after, 4, {"a": 1}).slices == {"a": (3, 8, 9)}


@given(st.integers(1, 200), st.integers(1, 20), st.sets(st.integers(0, 100), max_size=5))
def test_losses_do_not_change_the_number_of_steps(samples: int, batch: int, losses: set[int]) -> None:
    """But for one in the last step of an epoch: that one is cut anew."""

    def steps(losses: set[int]) -> int:
        record, taken = SamplerState.fresh(samples, 0), 0
        while record.left:
            step = cut(record, batch, {"a": 1.0, "b": 1.0})
            last = step.after.cursor == samples
            record = (step.kept_by({"a"}) if taken in losses and not last else step).after
            taken += 1
        return taken

    assert steps(losses) == steps(set())


def test_a_last_batch_stays_in_its_epoch() -> None:
    record = SamplerState(seed=0, block=Block(0, 10), cursor=8)
    step = cut(record, 4, {"a": 1})
    assert (step.epoch, step.slices) == (0, {"a": (8, 9)})
    assert step.kept_by(()).after.rolled().epoch == 0


@pytest.mark.parametrize(("block", "cursor"), [(Block(3, 3), 3), (Block(0, 5), 6)])
def test_a_record_that_cannot_be_is_refused(block: Block, cursor: int) -> None:
    with pytest.raises(ValueError, match="block"):
        SamplerState(seed=0, block=block, cursor=cursor)


def test_a_record_that_had_a_part_of_an_epoch_has_all_of_the_next() -> None:
    """Checkpoints of groups that shared nothing hold such."""
    record = SamplerState(seed=0, block=Block(3, 6), cursor=4, samples=10)
    rest = cut(record, 100, {"a": 1.0})
    assert rest.slices["a"] == (4, 5)
    assert epoch_of(rest.after) == list(range(10))


def test_a_record_of_before_groups_has_all_samples() -> None:
    document = json.loads(Ledger(SamplerState.fresh(10, 0), 4, 1).to_json())
    del document["record"]["samples"]
    assert epoch_of(Ledger.from_json(json.dumps(document)).record) == list(range(10))


def test_where_nobody_knows_how_long_an_epoch_is_only_whole_ones_are_counted() -> None:
    """A part of more steps than there are made an end in millions of years."""
    record = SamplerState(0, Block(0, ALL_STEPS), 200, epoch=0)
    assert record.part_done(4) == 0.0
    assert record.in_epoch(3).part_done(4) == 0.75


def test_that_the_job_finishes_is_kept_for_good_and_unknown_to_an_older_record() -> None:
    fresh = Ledger(SamplerState.fresh(10, 0), 4, 1)
    document = json.loads(fresh.to_json())
    del document["finishing"]
    assert not Ledger.from_json(json.dumps(document)).finishing
    told = fresh.told_to_finish()
    later = told.share_out(FormationId(FIRST, 1), ["a", "b"]).kept_by({"a"}).committed(1, 0.5)
    assert later.finishing and Ledger.from_json(later.at_rest().to_json()).finishing
    another_loop = Ledger(SamplerState.fresh(6, 0), 2, 5)
    assert later.in_loop(another_loop).in_epoch(1).finishing


def epoch_of(record: SamplerState) -> list[int]:
    """The positions of one epoch, from the next step on."""
    step = cut(record, 3, {"a": 1.0})
    epoch, seen = step.epoch, list(step.slices["a"])
    while step.after.left:
        step = cut(step.after, 3, {"a": 1.0})
        seen += step.slices["a"] if step.epoch == epoch else ()
    return seen


def test_what_is_ones_own_is_not_made_up_for() -> None:
    """A position is a step, and everybody's; a lost member's batch was its own."""
    formation = FormationId(FIRST, 1)
    ledger = Ledger(SamplerState(0, Block(0, 100), 0), 1, 1, common=True).share_out(
        formation, ["a", "b", "c"]
    )
    assert ledger.cut is not None and ledger.cut.slices == {"a": (0,), "b": (0,), "c": (0,)}
    kept = ledger.kept_by({"a", "b"})
    assert kept.cut is not None and kept.cut.slices == {"a": (0,), "b": (0,)}
    done = kept.committed(1, 0.5, 32)
    assert (done.record.cursor, done.record.returned, done.returned, done.samples) == (1, (), 0, 32)
    nobody = ledger.kept_by(set())
    assert nobody.cut is None and nobody.record == ledger.record and nobody.returned == 0
