"""The judge of exactness: it must see each kind of harm, and none where there is none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.audit import Audit, audit
from benchmarks.steps import Step

SAMPLES = 4


def line(step: int, epoch: int, *indices: int, node: str = "a", digest: str = "") -> Step:
    return Step(node, node, step, float(step), epoch, 2, indices, digest or f"d{step}", 0.0)


SOUND = [
    *(line(step, 0, *part, node=node) for node in "ab" for step, part in ((1, (0, 1)), (2, (2, 3)))),
    *(line(step, 1, *part, node=node) for node in "ab" for step, part in ((3, (3, 1)), (4, (0, 2)))),
    line(5, 2, 1, 2),
]


def test_sound_journals() -> None:
    assert audit(SOUND, SAMPLES) == Audit(steps=5, forked=0, lost=0, samples_lost=0, samples_twice=0)


def test_a_replayed_step_says_nothing_of_samples() -> None:
    replayed = replace(line(2, 0, node="c"), members=0, indices=())
    assert audit([replayed, *SOUND], SAMPLES) == audit(SOUND, SAMPLES)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda s: s if s.step != 2 else replace(s, step=6, epoch=2), {"lost": 1, "samples_lost": 2}),
        (lambda s: replace(s, digest="x") if (s.step, s.node) == (3, "b") else s, {"forked": 1}),
        (lambda s: replace(s, indices=(2, 9)) if (s.step, s.node) == (4, "b") else s, {"forked": 1}),
        (lambda s: replace(s, indices=(1, 3)) if s.step == 2 else s, {"samples_lost": 1, "samples_twice": 1}),
    ],
)
def test_harm_is_seen(harm: Callable[[Step], Step], found: dict[str, int]) -> None:
    seen = audit([harm(step) for step in SOUND], SAMPLES)
    assert {name: getattr(seen, name) for name in found} == found
