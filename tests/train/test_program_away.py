"""A program that does something of its own for long, such as an evaluation, in a group of two."""

from collections.abc import Iterator

import pytest

from benchmarks.waiting import wait_for
from tests.support.group import LocalGroup, training_group

START_SECONDS = 180
AWAY_SECONDS = 12


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGroup]:
    with training_group(tmp_path_factory.mktemp("group"), 2, start_seconds=START_SECONDS) as group:
        yield group


@pytest.mark.parametrize("leads", [True, False])
def test_the_other_goes_on_by_its_supervisors_vote(pair: LocalGroup, leads: bool) -> None:
    index = 0 if leads else 1
    log = pair.workers[index].log
    draft, away = log.with_suffix(".draft"), log.with_suffix(".away")
    draft.write_text(str(AWAY_SECONDS))
    draft.rename(away)
    wait_for(lambda: not away.exists(), 10, pair.tail)
    wait_for(lambda: pair.whole(1 - index), AWAY_SECONDS - 2, pair.tail)
    wait_for(pair.whole, 60, pair.tail)
    pair.check_history()
