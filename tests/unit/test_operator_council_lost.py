"""When a council is over for good; tests/model/test_council_liveness.py shows that it is so in fact."""

import pytest

from edgetrain_operator.core.council_lost import Standing, is_lost


def holder(name: str, term: int, index: int, council: str, changes: bool = False) -> Standing:
    return Standing(name, (term, index), frozenset(council), may_lead=True, changes=changes)


def witness(term: int, index: int) -> Standing:
    return Standing("w", (term, index), frozenset(), may_lead=False)


@pytest.mark.parametrize(
    ("standings", "gone", "lost"),
    [
        ([holder("a", 1, 1, "abc"), holder("b", 1, 2, "abc")], "c", False),
        ([holder("a", 1, 1, "abc")], "c", False),
        ([holder("a", 1, 1, "abc")], "bc", True),
        ([holder("b", 1, 1, "abw"), witness(1, 1)], "a", False),
        ([holder("b", 1, 1, "abw"), witness(1, 2)], "a", True),
        ([holder("b", 1, 1, "abw"), witness(1, 2)], "", False),
        ([holder("a", 1, 2, "a"), holder("b", 1, 1, "ab")], "", False),
        ([holder("b", 1, 1, "ab"), holder("n", 0, 0, "")], "a", True),
        ([witness(1, 1)], "ab", True),
        ([holder("a", 1, 1, "ab")], "b", True),
        ([holder("a", 1, 1, "ab"), holder("n", 1, 2, "a")], "b", True),
        ([holder("a", 1, 1, "ab", changes=True)], "b", False),
        ([holder("a", 1, 1, "abc", changes=True)], "bc", True),
        ([holder("a", 1, 1, "abcd", changes=True), holder("b", 0, 0, "abcd")], "cd", False),
    ],
)
def test_it_is_over_where_no_log_that_is_left_can_win(
    standings: list[Standing], gone: str, lost: bool
) -> None:
    assert is_lost(standings, frozenset(gone)) is lost
