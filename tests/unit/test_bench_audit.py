"""What judges the benchmarks' journals: it must see each kind of harm, and none where there is none."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.aftermath import Aftermath, aftermath
from benchmarks.audit import Audit, audit
from benchmarks.faults import Struck
from benchmarks.living import Absence, Committed, goodput, living_seconds, longest_wait
from benchmarks.site import Return, first_after, rows
from benchmarks.steps import Begin, Journal, Step
from tests.support.histories import of_generation

SAMPLES = 4
SAID = {
    "step": 3,
    "at": 2.0,
    "epoch": 0,
    "members": 1,
    "indices": [1],
    "samples": 1,
    "loss": 0.5,
    "history": [1, "all", 2],
}


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


def of(generation: int, *steps: Step) -> list[Step]:
    return [
        replace(step, history=of_generation(generation), digest=f"{step.digest}-{generation}")
        for step in steps
    ]


def test_a_new_generation_takes_steps_back_and_is_judged_from_there() -> None:
    again = of(2, *(s for s in SOUND if s.step >= 3))
    found = audit([*of(1, *(s for s in SOUND if s.step < 5)), *again], SAMPLES)
    assert found == Audit(
        steps=5, forked=0, lost=0, samples_lost=0, samples_twice=0, rolled_back=2, new_generations=1
    )


def test_a_generation_that_trained_nothing_hides_nothing_of_the_one_before() -> None:
    """Of three generations the second got to step 4, and the third goes on from the first one's step 2."""
    first, second = of(1, *(s for s in SOUND if s.step < 4)), of(2, line(4, 1, 0, 2))
    third = of(3, *(s for s in SOUND if s.step >= 3))
    found = audit([*first, *second, *third], SAMPLES)
    assert (found.steps, found.lost, found.rolled_back, found.new_generations) == (5, 0, 2, 2)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (lambda s: s if s.step != 3 else None, {"lost": 1}),
        (lambda s: replace(s, digest="x") if (s.step, s.node) == (3, "b") else s, {"forked": 1}),
        (lambda s: replace(s, indices=(0, 3)) if s.step == 3 else s, {"samples_twice": 1, "samples_lost": 1}),
    ],
)
def test_harm_is_seen_behind_a_new_generation(
    harm: Callable[[Step], Step | None], found: dict[str, int]
) -> None:
    before = of(1, *(s for s in SOUND if s.step < 3))
    after = [step for s in SOUND if s.step >= 2 and (step := harm(s))]
    seen = audit([*before, *of(2, *after)], SAMPLES)
    assert {name: getattr(seen, name) for name in found} == found


# --- when it trains again

KILLED = Struck("power cut", ("b",), began=10.0, ended=14.0, kills=True)


def moments(*at: float, members: int = 2) -> list[Step]:
    return [replace(line(1, 0), at=moment, members=members) for moment in at]


def test_time_counts_from_the_start_of_what_was_killed() -> None:
    begun = [Begin("b", 1.0), Begin("b", 17.0), Begin("b", 30.0)]
    steps = [*moments(16.0, 17.5, members=1), *moments(9.0, 19.0)]
    assert aftermath([KILLED], steps, begun, whole=2) == Aftermath(starting=3.0, to_next=0.5, to_whole=2.0)


def test_time_counts_from_the_last_fault_where_what_was_killed_began_before_its_end() -> None:
    choked = Struck("choke", ("a",), began=15.0, ended=20.0, kills=False)
    after = aftermath([KILLED, choked], moments(20.5), [Begin("b", 17.0)], whole=2)
    assert after == Aftermath(starting=0.0, to_next=0.5, to_whole=0.5)


@pytest.mark.parametrize(
    ("steps", "begun"),
    [
        (moments(19.0), []),
        (moments(19.0, members=1), [Begin("b", 17.0)]),
        (moments(19.0, members=0), [Begin("b", 17.0)]),
    ],
)
def test_who_is_not_back_does_not_train_again(steps: list[Step], begun: list[Begin]) -> None:
    assert aftermath([KILLED], steps, begun, whole=2) is None


# --- reading


def test_what_a_deleted_pod_wrote_last_is_read(tmp_path: Path) -> None:
    log = tmp_path / "pod" / "trainer" / "0.log"
    log.parent.mkdir(parents=True)
    journal = Journal({"a": tmp_path})
    with log.open("a") as written:
        written.write('2026 stdout F BEGIN {"at": 1.5}\n')
        written.flush()
        assert journal.read() == []
        log.unlink()
        written.write(f"2026 stdout F STEP {json.dumps(SAID)}\n2026 stdout F STEP {{")
        written.flush()
    (step,) = journal.read()
    assert (step.node, step.process, step.step, step.history.generation) == ("a", "pod/0", 3, 2)
    assert journal.begun == [Begin("a", 1.5)]
    journal.close()


@pytest.mark.parametrize("written", [f"STEP {json.dumps(SAID)}", f"STEP {json.dumps(SAID)[:-9]}", "Trace"])
def test_who_was_killed_before_a_line_s_end_hides_nothing_of_the_next_start(
    tmp_path: Path, written: str
) -> None:
    log = tmp_path / "pod" / "trainer" / "0.log"
    log.parent.mkdir(parents=True)
    log.write_text(f'2026 stdout F {written}BEGIN {{"at": 1.5}}\n')
    journal = Journal({"a": tmp_path})
    assert [step.step for step in journal.read()] == ([3] if written.endswith("}") else [])
    assert journal.begun == [Begin("a", 1.5)]
    journal.close()


def test_what_an_older_job_s_pods_have_left_is_passed_over(tmp_path: Path) -> None:
    journal = Journal({"a": tmp_path})
    for pod in ("old", "new"):
        log = tmp_path / pod / "trainer" / "0.log"
        log.parent.mkdir(parents=True)
        log.write_text(f"2026 stdout F STEP {json.dumps(SAID)}\n")
        if pod == "old":
            journal.pass_over("a")
    assert [step.process for step in journal.read()] == ["new/0"]
    journal.close()


# --- goodput

NAMES = ("a", "b")
FAULT_FREE, FAULTY = (0.0, 10.0), (10.0, 30.0)


def test_a_worker_lives_until_it_is_struck_and_from_its_programs_next_start() -> None:
    begun = [Begin("a", 1.0), Begin("a", 18.0), Begin("b", 29.0)]
    absences = [
        Absence("a", since=12.0, until=13.0, kills=True),  # Away until 18.
        Absence("a", since=15.0, until=20.0, kills=False),  # 18 to 20 beside it.
        Absence("b", since=5.0, until=11.0, kills=False),  # 1 s of it in the span.
    ]
    assert living_seconds(NAMES, begun, absences, FAULTY) == 2 * 20 - 8 - 1


def test_who_never_begins_again_lives_no_more() -> None:
    gone = [Absence("a", since=12.0, until=13.0, kills=True)]
    assert living_seconds(NAMES, [Begin("a", 1.0)], gone, FAULTY) == 2 * 20 - 18


def test_goodput_is_one_where_those_who_live_lose_nothing() -> None:
    steps = [Committed(at, 10) for at in range(10)]  # 5 samples for each second of each of two workers.
    away = [Absence("a", since=10.0, until=20.0, kills=False)]
    steps += [Committed(at, 5) for at in range(10, 20)] + [Committed(at, 10) for at in range(20, 30)]
    assert goodput(steps, NAMES, [], away, FAULT_FREE, FAULTY) == 1.0
    assert goodput(steps[:-3], NAMES, [], away, FAULT_FREE, FAULTY) == 0.8


def test_the_longest_wait_may_be_that_before_the_end() -> None:
    assert longest_wait([Committed(9.0, 1), Committed(12.0, 1), Committed(15.5, 1)], FAULTY) == 14.5


# --- what a site went on from


def test_a_site_goes_on_from_below_the_first_step_of_its_newest_generation() -> None:
    before = [replace(line(step, 0), at=float(step), history=of_generation(1)) for step in (1, 2, 3, 4)]
    after = [replace(line(step, 0), at=20.0 + step, history=of_generation(2)) for step in (3, 4, 5)]
    assert first_after([*before, *after], moment=10.0) == 3


def test_an_order_counts_where_it_trains_again_and_where_nothing_durable_was_lost() -> None:
    back = Aftermath(starting=5.0, to_next=1.0, to_whole=2.0)
    returns = [
        Return(("a",), durable=7, went_on_from=7, after=back, last_resorts=0),
        Return(("b",), durable=7, went_on_from=6, after=back, last_resorts=1),
        Return(("c",), durable=7, went_on_from=None, after=None, last_resorts=0),
    ]
    values = [row.value for row in rows(returns, [])]
    assert values[:3] == [2, 1, 1]
