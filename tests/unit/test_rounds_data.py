"""Between groups each position is free, leased to one, or merged, whatever is asked for in whatever order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.data import Block
from edgetrain.rounds.data_record import DataRecord, Fate, NotTheirs, Owner
from edgetrain_protocol.history import History

A, B = History(1, "a", 1), History(1, "b", 1)
SAMPLES, EPOCHS = 7, 3
TOTAL = SAMPLES * EPOCHS
TAKERS: dict[str, Owner] = {"merge": Fate.MERGED, "unused": Fate.FREE, "lost": Fate.FREE}

blocks = st.tuples(st.integers(-1, TOTAL), st.integers(0, TOTAL + 1)).map(lambda pair: Block(*pair))
requests = st.tuples(
    st.sampled_from(["lease", "merge", "unused", "lost"]),
    st.sampled_from([A, B]),
    st.lists(blocks, max_size=3),
)


def asked(record: DataRecord, what: str, history: History, of: list[Block]) -> DataRecord:
    match what:
        case "lease":
            return record.lease(history, of)
        case "merge":
            return record.merge(history, of)
    return record.give_back(history, of, trained=what == "lost")


def owners(record: DataRecord) -> list[Owner]:
    """Of each position, one by one."""
    return [owner for start, stop, owner in record.parts for _ in range(start, stop)]


@given(st.lists(requests, max_size=40))
def test_the_record_says_of_each_position_what_a_list_of_positions_would_say(
    fates: list[tuple[str, History, list[Block]]],
) -> None:
    record, reissued = DataRecord.fresh(SAMPLES, EPOCHS), 0
    plain: list[Owner] = [Fate.FREE] * TOTAL
    for what, history, of in fates:
        positions = [position for start, stop in of for position in range(start, stop)]
        giver = Fate.FREE if what == "lease" else history
        valid = (
            all(0 <= start < stop <= TOTAL for start, stop in of)
            and max(Counter(positions).values(), default=1) == 1
        )
        if valid and all(plain[position] == giver for position in positions):
            record = asked(record, what, history, of)
            for position in positions:
                plain[position] = TAKERS.get(what, history)
            reissued += len(positions) if what == "lost" else 0
        else:
            with pytest.raises(NotTheirs):
                asked(record, what, history, of)
        assert owners(record) == plain
        assert record.reissued == reissued
        assert all(
            one.owner != next_.owner for one, next_ in zip(record.parts, record.parts[1:], strict=False)
        )


@given(st.lists(requests, max_size=20), st.integers(0, TOTAL))
def test_what_is_next_is_free_and_reaches_into_no_other_epoch(
    fates: list[tuple[str, History, list[Block]]], most: int
) -> None:
    record = DataRecord.fresh(SAMPLES, EPOCHS)
    for what, history, of in fates:
        try:
            record = asked(record, what, history, of)
        except NotTheirs:
            continue
    found = record.next_free(most)
    assert sum(stop - start for start, stop in found) == min(most, record.count(Fate.FREE))
    assert all(start // SAMPLES == (stop - 1) // SAMPLES for start, stop in found)
    record.lease(A, found)


def test_a_run_that_is_merged_takes_one_part() -> None:
    record = DataRecord.fresh(SAMPLES, EPOCHS)
    while free := record.next_free(2):
        assert not record.done
        record = record.lease(A, free).merge(A, free)
    assert record.done
    assert len(record.parts) == 1


def test_a_refusal_says_whose_positions_they_are() -> None:
    record = DataRecord.fresh(SAMPLES, EPOCHS).lease(A, [Block(0, 4)])
    with pytest.raises(NotTheirs, match="positions 2 to 4 are leased to lineage 1, group a"):
        record.lease(B, [Block(2, 6)])
    with pytest.raises(NotTheirs, match="not in the run"):
        record.lease(B, [Block(20, 22)])


@pytest.mark.parametrize(("samples", "epochs"), [(-1, 1), (1, 0), (0, 0)])
def test_a_run_without_data_is_refused(samples: int, epochs: int) -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        DataRecord.fresh(samples, epochs)
