"""Where a member's time goes, and what is told of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from edgetrain.engine.errors import BadProgram
from edgetrain.link import Progress, Totals
from edgetrain.shares import Speed
from edgetrain_protocol.base import MOST_LOGGED
from edgetrain_protocol.names import SHARED_PHASES

LONGEST_NAME = 63
MOST_NAMES = MOST_LOGGED - 4
"""Of the program's own: the others are for what is counted beside them."""


class Rates(NamedTuple):
    """Of the last step, the first two smoothed over some ten."""

    steps_per_second: float = 0.0
    samples_per_second: float = 0.0
    step_seconds: float = 0.0
    phase_seconds: Mapping[str, float] = MappingProxyType({})


class Meter:
    """Times the phases of a step. For the program's thread; any other may ask for `progress`."""

    def __init__(
        self,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        phases: bool = True,
    ) -> None:
        """
        Args:
            changed: called whenever `progress` is another one.
            phases: somebody asks for them. Alone nobody does, and to time each is a good part of what a
                session adds to a step.
        """
        self._phased = phases
        self._changed, self._clock = changed, clock
        self._phase, self._since = "wait", clock()
        self._last_commit = self._since
        self._seconds: dict[str, float] = {}
        self._speed = Speed()
        self._warm = False
        self._rates = Rates()
        self._steps = self._samples = 0
        self._phases: dict[str, float] = {}
        self._carried: Mapping[str, list[int]] = {}
        self._metrics: dict[str, float | None] = {}
        self._logged = set[str]()
        self._own_data: tuple[int, dict[str, int]] = (0, {})
        self._described: Callable[[], Progress] = lambda: Progress(formation=None, phase="wait", step=0)

    @property
    def progress(self) -> Progress:
        """How training gets on at this moment."""
        rates = self._rates
        return replace(
            self._described(),
            phase=self._phase,
            steps_per_second=rates.steps_per_second,
            samples_per_second=rates.samples_per_second,
            step_seconds=rates.step_seconds,
            phase_seconds={phase: round(seconds, 6) for phase, seconds in rates.phase_seconds.items()},
            totals=self._totals,
            metrics=self._metrics,
            local_samples=self._own_data[0],
            local_labels=self._own_data[1],
        )

    @property
    def speed(self) -> float:
        """This member's samples a second of its own work; 0 before anything was measured."""
        return self._speed.value

    def enter(self, phase: str) -> None:
        """From now on it is this phase."""
        if not self._phased:
            return
        self._turn_over()
        self._phase = phase
        self._changed()

    def computed(self, samples: int) -> None:
        """This member's own part of a step is done: `samples` went through the model."""
        if not self._phased:
            return
        self._turn_over()
        busy = sum(seconds for phase, seconds in self._seconds.items() if phase not in SHARED_PHASES)
        # The first step allocates and warms up; it says nothing about the next.
        if self._warm:
            self._speed.add(samples, busy)
        self._warm = True

    def committed(
        self,
        described: Callable[[], Progress],
        step_samples: int,
        carried: Mapping[str, list[int]] | None = None,
    ) -> None:
        """A step is over.

        Args:
            described: what there is to say of it beside its times, when somebody asks.
            step_samples: over all members; 0 for a step that was replayed.
            carried: bytes by scope, see `link.Totals`.
        """
        now, before = self._turn_over(), self._rates
        step_seconds = max(now - self._last_commit, 1e-9)
        self._last_commit = now
        # The last batch of an epoch is smaller: its samples say little of the speed.
        samples = _smoothed(before.samples_per_second, step_samples / step_seconds)
        self._rates = Rates(
            _smoothed(before.steps_per_second, 1.0 / step_seconds),
            samples if step_samples else before.samples_per_second,
            step_seconds,
            self._seconds,
        )
        self._add_up(step_samples, carried or {})
        self._described = described
        self._seconds = {}
        self._phase = "apply"
        self._changed()

    def logged(self, values: Mapping[str, float]) -> None:
        """What the program logs.

        Raises:
            BadProgram: there are more names than anybody can be told of, or others than can be told.
        """
        names = {*self._logged, *values}
        for name in values:
            if len(name) > LONGEST_NAME or not name.isprintable():
                raise BadProgram(
                    f"session.log got the name {name[:LONGEST_NAME]!r}: give it at most {LONGEST_NAME} "
                    "characters that can be printed"
                )
        if len(names) > MOST_NAMES:
            raise BadProgram(f"session.log got {len(names)} names: give it at most {MOST_NAMES}")
        self._logged = names
        self._add(values)

    def noted(self, name: str, value: float) -> None:
        """What is counted beside what the program logs."""
        self._add({name: value})

    def _add(self, values: Mapping[str, float]) -> None:
        self._metrics = {**self._metrics, **values}
        self._changed()

    def counted(self, samples: int, labels: dict[str, int]) -> None:
        """What data this worker has alone: so many samples, and so many with each label."""
        self._own_data = samples, labels
        self._changed()

    def _add_up(self, samples: int, carried: Mapping[str, list[int]]) -> None:
        self._steps += samples > 0
        self._samples += samples
        self._carried = carried
        phases = self._phases
        for phase, seconds in self._seconds.items():
            phases[phase] = phases.get(phase, 0.0) + seconds

    @property
    def _totals(self) -> Totals:
        phases = {phase: round(seconds, 6) for phase, seconds in self._phases.copy().items()}
        return Totals(self._steps, self._samples, phases, dict(self._carried))

    def _turn_over(self) -> float:
        now = self._clock()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._since = now
        return now


def _smoothed(before: float, newest: float) -> float:
    """Over some ten steps."""
    return 0.9 * before + 0.1 * newest if before else newest
