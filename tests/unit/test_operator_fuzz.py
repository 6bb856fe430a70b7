"""A few of the cases of `benchmarks.fuzz`: whatever is written into a job's documents ends no reconcile."""

import logging

import pytest

from tests.support.fuzzing import tried

CASES = 250
AT_ONCE = 25


@pytest.mark.parametrize("first", range(0, CASES, AT_ONCE))
def test_what_is_nearly_right_is_refused_or_reconciled(first: int) -> None:
    logging.disable(logging.ERROR)
    try:
        outcomes = [tried(seed) for seed in range(first, first + AT_ONCE)]
    finally:
        logging.disable(logging.NOTSET)
    assert {o.seed: (o.scene, o.changed, o.faults) for o in outcomes if o.faults} == {}


def test_a_case_is_its_seeds_alone() -> None:
    assert tried(7) == tried(7)
