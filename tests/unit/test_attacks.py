"""Each attack that was done once is done again by a test."""

import re
from pathlib import Path

from tests.support.attacks import ATTACKS, MARK, WHERE, Repelled

ROOT = Path(__file__).parents[2]


def test_each_attack_has_a_test_and_each_mark_an_attack() -> None:
    files = (file for part in WHERE for file in (ROOT / part).glob("*.py"))
    marks = [re.findall(rf"mark\.{MARK}\(([\d, ]+)\)", file.read_text()) for file in files]
    numbers = {int(number) for found in marks for text in found for number in text.split(",")}
    assert numbers == ATTACKS.keys()


def test_an_attack_is_repelled_by_tests_that_ran_and_passed() -> None:
    found = Repelled(tests={1: {"a", "b"}, 2: {"c"}}, passed={"a", "b"}, failed={"b"})
    assert [found.by_attack()[number] for number in (1, 2, 3)] == [[True, False], [False], []]
