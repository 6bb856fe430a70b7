"""What the lead writes, of what has come; and what an envoy says of how far its exchange is."""

import pytest

from edgetrain.data import Block
from edgetrain.rounds.blocks import first, joined, without
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Change, Contribution, Group, Last, Lease, Return, UpdateKey, Why
from edgetrain.rounds.envoy import Envoy, EnvoyRules, Ledger, Stage
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.turn import Apply, Step, Turn
from edgetrain_protocol.history import History

A, B = History(1, "a", 1), History(1, "b", 1)
RULES = EnvoyRules()
BOOKS = Books(DataRecord.fresh(4, 1)).fold(
    [Group(A, Change.FORMED), Group(B, Change.FORMED), Lease(A, (Block(0, 2),)), Lease(B, (Block(2, 4),))]
)


def update(
    history: History, block: Block, seq: int = 1, base: int = 0, digest: str = "d", attempt: int = 0
) -> Contribution:
    return Contribution(UpdateKey(history, seq), digest, base, (block,), 1, attempt)


FROM_A, FROM_B = update(A, Block(0, 2)), update(B, Block(2, 4))


def test_only_what_all_shards_hold_is_merged_and_of_two_attempts_the_newer() -> None:
    again = update(A, Block(0, 2), digest="other", attempt=1)
    lead = Lead(2).on_part(FROM_A, 0, BOOKS).on_part(again, 1, BOOKS)
    assert lead.arrived() == ()
    with pytest.raises(ValueError, match="not whole"):
        lead.merge([FROM_A.key], BOOKS, "v1")
    lead = lead.on_part(FROM_A, 1, BOOKS).on_part(again, 0, BOOKS)
    assert [staged.parts for staged in lead.staged] == [{0, 1}]
    merge = lead.merge(lead.arrived(), BOOKS, "v1")
    assert [c.digest for c in merge.contributions] == ["other"]
    assert not BOOKS.refuses(merge)


def test_beside_an_attempt_that_is_whole_no_newer_one_is_staged() -> None:
    again = update(A, Block(0, 2), digest="other", attempt=1)
    lead = Lead(2).on_part(FROM_A, 0, BOOKS).on_part(FROM_A, 1, BOOKS)
    assert lead.on_part(again, 0, BOOKS) == lead


def test_a_push_of_another_lineage_is_refused_by_its_name() -> None:
    old = UpdateKey(History(0, "a", 1), 1)
    assert "of lineage 1" in Lead(1).refuses(old, BOOKS)
    assert Lead(1).refuses(UpdateKey(A, 2), BOOKS) == "update 0 is the last that is settled"
    assert Lead(1).refuses(FROM_A.key, BOOKS) == ""


def test_what_comes_again_after_its_merge_is_not_staged() -> None:
    lead = Lead(1).on_part(FROM_A, 0, BOOKS)
    after = BOOKS.after(lead.merge([FROM_A.key], BOOKS, "v1"))
    assert lead.settle(after).staged == ()
    assert lead.settle(after).on_part(FROM_A, 0, after).staged == ()


def test_an_update_from_too_old_a_base_is_returned_and_one_in_time_is_not() -> None:
    lead = Lead(1).on_part(FROM_A, 0, BOOKS).on_part(FROM_B, 0, BOOKS)
    after = BOOKS.after(lead.merge([FROM_A.key], BOOKS, "v1"))
    assert lead.settle(after).refusal(after, most_behind=1) is None
    back = lead.settle(after).refusal(after, most_behind=0)
    assert back == Return(B, (Block(2, 4),), Why.REFUSED, 1)
    assert after.after(back).data.reissued == 2


def test_an_update_with_data_of_another_is_refused_with_what_is_its_own() -> None:
    lead = Lead(1).on_part(update(A, Block(1, 3)), 0, BOOKS)
    assert lead.refusal(BOOKS, 9) == Return(A, (Block(1, 2),), Why.REFUSED, 1)


def test_the_end_is_written_once_all_is_merged() -> None:
    lead = Lead(1).on_part(FROM_A, 0, BOOKS).on_part(FROM_B, 0, BOOKS)
    assert lead.last(BOOKS) is None
    after = BOOKS.after(lead.merge(lead.arrived(), BOOKS, "v1"))
    assert lead.last(after) == Last(1)
    assert lead.last(after.after(Last(1))) is None


def test_an_envoy_tells_its_stage_from_training_to_the_next_version() -> None:
    envoy, ledger = Envoy(), Ledger(A, 0)
    assert envoy.stage(ledger, BOOKS, RULES) is Stage.TRAINING
    deed = envoy.next_deed(ledger, BOOKS, 4, RULES, batch=5)
    assert deed == Step((Block(0, 2),))
    ledger = ledger.after(Turn(1, deed, 4)).pushed()
    assert envoy.stage(ledger, BOOKS, RULES) is Stage.ENCODED
    envoy = envoy.told(FROM_A.key)
    assert envoy.stage(ledger, BOOKS, RULES) is Stage.PUSHED
    merged = BOOKS.after(Lead(1).on_part(FROM_A, 0, BOOKS).merge([FROM_A.key], BOOKS, "v1"))
    assert envoy.stage(ledger, merged, RULES) is Stage.NAMED
    assert envoy.has(1, "another v1").stage(ledger, merged, RULES) is Stage.NAMED
    envoy = envoy.has(1, "v1")
    assert envoy.stage(ledger, merged, RULES) is Stage.HAVE
    assert envoy.next_deed(ledger, merged, 5, RULES, batch=1) == Apply(1, "v1")
    ledger = ledger.after(Turn(2, Apply(1, "v1"), 5))
    assert (ledger.base, ledger.in_flight) == (1, None)
    assert envoy.stage(ledger, merged, RULES) is Stage.IDLE
    assert envoy.stage(Ledger(History(1, "a", 0), 0), merged, RULES) is Stage.ENDED


def test_blocks_are_cut_and_joined() -> None:
    assert first([Block(0, 2), Block(4, 9)], 4) == (Block(0, 2), Block(4, 6))
    assert without([Block(0, 9)], [Block(2, 3), Block(8, 12)]) == (Block(0, 2), Block(3, 8))
    assert joined([Block(3, 5), Block(0, 2), Block(2, 3), Block(7, 8)]) == (Block(0, 5), Block(7, 8))
