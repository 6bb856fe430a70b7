"""How the council is brought to what it is to be, one change at a time."""

from dataclasses import replace

import pytest

from edgetrain_operator.core.council import Candidate, CouncilView, newcomers, next_change, target


def view(
    holders: str,
    line: str,
    *,
    sites: str = "",
    groups: int = 3,
    gone: str = "",
    far: str = "",
    witness: str = "",
) -> CouncilView:
    """Names are single letters; `sites` are those of the line; who is in capitals lags behind."""
    sites = sites or "x" * len(line)
    candidates = tuple(
        Candidate(name.lower(), site, name not in far, name.islower())
        for name, site in zip(line, sites, strict=True)
    )
    return CouncilView(
        holders[0], frozenset(holders), witness, candidates, frozenset(gone), groups, operator="op"
    )


@pytest.mark.parametrize(
    ("seen", "holders", "witness"),
    [
        (view("a", "abcd", groups=2), "a", ""),
        (view("a", "abcd", groups=3), "abc", ""),
        (view("b", "abcd", groups=3), "bac", ""),
        (view("a", "abcdef", groups=10), "abcde", ""),
        (view("a", "abcd", sites="xxyy", groups=2), "ac", "op"),
        (view("a", "abcd", sites="xxyy", groups=1), "a", ""),
        (view("a", "abcdef", sites="xxxxyy", groups=10), "aebf", "op"),
        (view("a", "abcd", sites="xxyz", groups=3), "acd", ""),
        (view("a", "ab", groups=3), "ab", "op"),
        (view("ac", "abcd", groups=3), "acb", ""),
        (view("ac", "abcd", groups=3, far="c"), "abd", ""),
        (view("abc", "abcd", groups=3, gone="c"), "abd", ""),
    ],
)
def test_what_it_is_to_come_to(seen: CouncilView, holders: str, witness: str) -> None:
    wanted = target(seen)
    assert ("".join(wanted.holders), wanted.witness) == (holders, witness)


@pytest.mark.parametrize(
    ("seen", "add", "remove"),
    [
        (view("a", "abc"), "b", ""),
        (view("ab", "abc"), "c", ""),
        (view("abc", "abc"), None, None),
        (view("a", "aBc"), "c", ""),
        (view("a", "aBC"), None, None),
        (view("abc", "abcd", gone="c"), "", "c"),
        (view("ab", "abcd", gone="c"), "d", ""),
        (view("abc", "abcd", far="c"), "d", ""),
        (view("abcd", "abcd", far="c"), "", "c"),
        (view("abc", "abcd", far="bc"), None, None),
        (view("abc", "abcd", groups=1), "", "b"),
        (view("a", "ac", sites="xy", groups=2), "c", ""),
        (view("ac", "ac", sites="xy", groups=2), "op", ""),
        (view("ac", "ac", sites="xy", groups=2, witness="op"), None, None),
        (view("ac", "acd", sites="xyz", groups=3, witness="op"), "d", ""),
        (view("acd", "acd", sites="xyz", groups=3, witness="op"), "", "op"),
    ],
)
def test_the_next_change(seen: CouncilView, add: str | None, remove: str | None) -> None:
    change = next_change(seen)
    assert (change and (change.add, change.remove)) == (None if add is None else (add, remove))


def test_a_witness_that_is_not_heard_is_not_added() -> None:
    assert next_change(replace(view("ac", "ac", sites="xy"), operator="")) is None


def test_newcomers_are_to_be_told_before_they_are_counted() -> None:
    assert newcomers(view("a", "aBC")) == ("b", "c")
