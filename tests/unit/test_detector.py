"""When a silent peer counts as lost, and what speaks for it meanwhile."""

import pytest

from edgetrain.supervisor.detector import (
    BEAT_SECONDS,
    CEILING_SECONDS,
    FLOOR_SECONDS,
    HOLE_SECONDS,
    MARGIN,
    Pulse,
)

START = 0.0


def beating(gaps: list[float]) -> Pulse:
    pulse, now = Pulse(START), START
    for gap in gaps:
        now += gap
        pulse.beat(now)
    return pulse


def test_a_peer_is_given_more_time_the_more_its_words_are_spread_within_bounds() -> None:
    even, starved, worst = ([BEAT_SECONDS] * 50, [BEAT_SECONDS, 0.15] * 25, [BEAT_SECONDS, 0.9] * 25)
    patience = [pulse.lost_at() - pulse.heard for pulse in map(beating, (even, starved, worst))]
    assert patience == pytest.approx([FLOOR_SECONDS, MARGIN * 0.15, CEILING_SECONDS])


def test_what_comes_behind_a_lost_packet_speaks_for_the_peer_but_not_for_ever() -> None:
    pulse = beating([BEAT_SECONDS] * 50)
    silent_since = pulse.heard
    assert pulse.lost_at() == pytest.approx(silent_since + FLOOR_SECONDS)
    for tick in range(100):
        pulse.stir(silent_since + tick * BEAT_SECONDS)
    assert pulse.lost_at() == pytest.approx(silent_since + HOLE_SECONDS + FLOOR_SECONDS)


def test_what_came_early_once_says_nothing_of_a_later_silence() -> None:
    pulse = beating([BEAT_SECONDS] * 50)
    pulse.stir(pulse.heard + 0.3)
    pulse.beat(pulse.heard + 0.4)
    assert pulse.lost_at() == pytest.approx(pulse.heard + FLOOR_SECONDS)
