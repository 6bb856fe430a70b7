"""Where a member's time goes, and what is told of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from edgetrain.local import Progress, Totals
from edgetrain.shares import Speed

TELL_SECONDS = 0.05
"""Not more often, but for committed steps, and where own work ends or begins."""
IDLE_PHASES = frozenset({"wait", "reduce", "vote"})
"""Spent with or for the others: not this member's own work."""


class Meter:
    """Times the phases of a step. For the program's thread."""

    def __init__(
        self, tell: Callable[[Progress], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
        self._phase, self._since = "wait", clock()
        self._told = self._last_commit = self._since
        self._seconds: dict[str, float] = {}
        self._speed = Speed()
        self._warm = False
        self.progress = Progress(formation=None, phase="wait", step=0)

    @property
    def speed(self) -> float:
        """This member's samples a second of its own work; 0 before anything was measured."""
        return self._speed.value

    def enter(self, phase: str) -> None:
        """From now on it is this phase."""
        now = self._turn_over()
        self._phase = phase
        # Always told, since who is thought to be still at work while all wait for a slow link is put out.
        turns_to_others = (phase in IDLE_PHASES) != (self.progress.phase in IDLE_PHASES)
        self.progress = replace(self.progress, phase=phase)
        if turns_to_others or now - self._told >= TELL_SECONDS:
            self._say(now)

    def computed(self, samples: int) -> None:
        """This member's own part of a step is done: `samples` went through the model."""
        self._turn_over()
        busy = sum(seconds for phase, seconds in self._seconds.items() if phase not in IDLE_PHASES)
        # The first step allocates and warms up; it says nothing about the next.
        if self._warm:
            self._speed.add(samples, busy)
        self._warm = True

    def committed(
        self, progress: Progress, step_samples: int, carried: Mapping[str, list[int]] | None = None
    ) -> None:
        """A step is over; its times go out with `progress`.

        Args:
            step_samples: over all members; 0 for a step that was replayed.
            carried: bytes by scope, see `local.Totals`.
        """
        now, before = self._turn_over(), self.progress
        step_seconds = max(now - self._last_commit, 1e-9)
        self._last_commit = now
        # The last batch of an epoch is smaller: its samples say little of the speed.
        samples = _smoothed(before.samples_per_second, step_samples / step_seconds)
        self.progress = replace(
            progress,
            phase="apply",
            steps_per_second=_smoothed(before.steps_per_second, 1.0 / step_seconds),
            samples_per_second=samples if step_samples else before.samples_per_second,
            step_seconds=step_seconds,
            phase_seconds={phase: round(seconds, 6) for phase, seconds in self._seconds.items()},
            totals=self._added(step_samples, carried or {}),
        )
        self._seconds = {}
        self._phase = "apply"
        self._say(now)

    def logged(self, values: dict[str, float]) -> None:
        """Tell what the program logged, at once."""
        self.progress = replace(self.progress, metrics={**self.progress.metrics, **values})
        self._say(self._clock())

    def _added(self, samples: int, carried: Mapping[str, list[int]]) -> Totals:
        before = self.progress.totals
        phases = dict(before.phase_seconds)
        for phase, seconds in self._seconds.items():
            phases[phase] = round(phases.get(phase, 0.0) + seconds, 6)
        return Totals(before.steps + (samples > 0), before.samples + samples, phases, dict(carried))

    def _turn_over(self) -> float:
        now = self._clock()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._since = now
        return now

    def _say(self, now: float) -> None:
        self._told = now
        self._tell(self.progress)


def _smoothed(before: float, newest: float) -> float:
    """Over some ten steps."""
    return 0.9 * before + 0.1 * newest if before else newest
