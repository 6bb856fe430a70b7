"""The loop's boundary, where state is whole: captured, replaced, saved, and where steps begin.

Owns the member of the job and what serves it: the reader of orders, the state server, the checkpoints.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from edgetrain.data import Over
from edgetrain.engine.assignment import Rewound, Step, StepAssignment, Superseded
from edgetrain.engine.boundary_jobs import BoundaryJobs, Job
from edgetrain.engine.buckets import SMALLEST_BYTES
from edgetrain.engine.calls import Calls
from edgetrain.engine.meter import Meter
from edgetrain.engine.monitor import held
from edgetrain.engine.order_reader import read_orders
from edgetrain.engine.other_state import OtherState
from edgetrain.engine.place import OVER, Places
from edgetrain.engine.resting import Resting
from edgetrain.engine.settings import Settings
from edgetrain.engine.speaker import Speaker
from edgetrain.engine.state.flat_model import FlatModel, hash_of
from edgetrain.engine.state.keeping import Keeping
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.shared_vector import SharedVectors
from edgetrain.engine.state.snapshot import Stateful
from edgetrain.engine.stepping import StepEngine
from edgetrain.engine.transfer.donor import Donor
from edgetrain.link import RESTART_STATUS, Finished, Link, Message, Ready

LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Go:
    """Leave the boundary, with a step to take or for good."""

    assignment: StepAssignment | None


class Boundary:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        link: Link,
        settings: Settings,
        flat: FlatModel,
        ledger: Ledger,
        layout: list[str],
        objects: Sequence[Stateful],
        places: Places,
        vectors: SharedVectors,
    ) -> None:
        self._places, self.early = places, flat.bytes > SMALLEST_BYTES
        self.meter = Meter(lambda: self._speaker.progress_changed())
        self._speaker = Speaker(link, lambda: self.meter.progress)
        self._stepping = StepEngine(
            flat, ledger, layout, vectors, send=self.send, meter=self.meter, credentials=settings.credentials
        )
        self._monitor, self._orders = self._stepping.monitor, self._stepping.orders
        self._replica = self._stepping.replica
        self._resting = Resting(self._monitor, self._replica, layout, objects, places, settings.worker)
        self._keeping = Keeping(settings, self._stepping, flat, self._resting.capture, self.send)
        self._other_state = OtherState(
            settings,
            self._monitor,
            self._replica,
            self._stepping.catch_up,
            self._resting,
            self._keeping,
            self.send,
            size=flat.size,
        )
        self._calls = Calls(self._stepping, places, self._resting, self._stand)
        self._jobs = BoundaryJobs(self._stepping, places, self._keeping, self._other_state)
        self._donor = Donor(
            settings.state_port,
            settings.credentials,
            self._replica.log,
            self._resting.capture_for_donor,
            lambda: self._replica.position,
        )
        read_orders(link, self._stepping, self.send)
        self._keeping.tell_held()
        self.send(Ready(hash_of(layout), layout, self._replica.position))

    def send(self, message: Message) -> None:
        """By any thread; waits for nobody."""
        self._speaker.say(message)

    def settle(self) -> None:
        """Wait at the boundary for a state to go on from, and with it for where it belongs.

        Raises:
            SystemExit, ModelMismatch, BadState: as next_turn.
        """
        self._arrive()
        replica = self._replica
        self._wait(lambda: self._places.elsewhere or replica.in_sync or replica.begun)
        with self._monitor:
            replica.compare_again()

    def go_over(self, ledger: Ledger) -> None:
        """The program is about to pass through these data, the same on all members."""
        with self._monitor:
            self._replica.loop, self._replica.open_ended = ledger, self._places.own_loop
            self._stepping.entering.counted = self._places.counts

    def take_back(self) -> None:
        """The state of a call that was given up, where the program has not been at a boundary since."""
        self._resting.put_back()

    def data_ended(self) -> None:
        """The program has been through the data of a loop for the last time."""
        if not self._places.elsewhere:
            self._keeping.at_the_end()
            # What the program does now may end it without another word.
            self._speaker.flush()

    def next_turn(self, over: Over) -> StepAssignment | None:
        """Wait at the boundary for the next step of this epoch; None when there is none, or the program is to
        be elsewhere.

        Args:
            over: whether the epoch is over, where its record does not tell.

        Raises:
            SystemExit: the supervisor asked to stop, or is gone.
            ModelMismatch, BadState: this program does not fit the job.
        """
        self._arrive()
        return self._wait(lambda: self._places.elsewhere or self._leaves(over))

    @held
    def _leaves(self, over: Over) -> bool:
        """Whether the program is to leave this epoch."""
        replica, epoch = self._replica, self._places.here.epoch
        spent = replica.over(epoch) or (replica.in_sync and over(replica.ledger.record))
        return self._stepping.rounds.lets_go(epoch, spent=spent)

    def combine(self, numbers: Sequence[float]) -> list[list[float]] | None:
        """See Calls.combine."""
        return self._calls.combine(numbers)

    def pass_over(self, turn: StepAssignment, over: Over) -> StepAssignment | None:
        """The program has called no backward of this one: it brings nothing into the group's step.

        If others do, it goes through its loop once more, with something that does not count, and gets their
        gradients. If nobody does, there was no step.
        """
        if turn.done is None:
            self.reduce_step(turn._replace(positions=()), 0.0, 0)
        done = turn.done or self._stepping.committing.with_gradients
        return self.next_turn(over) if done is None else turn._replace(positions=(), replay=None, done=done)

    def begin_step(self, turn: StepAssignment, loss: float) -> None:
        """Before backward: what it makes may be on its way to the others while it still runs."""
        self._stepping.begin_step(turn, loss)

    def abandon_step(self, why: str) -> None:
        """Backward has failed."""
        self._stepping.abandon_step(why)

    def reduce_step(self, turn: StepAssignment, loss: float, computed: int) -> None:
        """Make the gradients of `turn` the group's committed mean. Where this member has none of it they stay
        its own, until its state is another one at the next boundary.

        Raises:
            SystemExit, ModelMismatch: as next_turn.
        """
        try:
            self._stepping.reduce_step(turn, loss, computed)
        except Rewound:
            # The program goes on with its own gradients, since it looks for some; what comes of it is undone.
            self._resting.remember()
        except Superseded:
            pass

    @property
    def last(self) -> Step | None:
        return self._stepping.committing.last

    @property
    def loss(self) -> float | None:
        """Mean of the last step of gradients, over all members."""
        return self._stepping.committing.loss

    @property
    def finishing(self) -> bool:
        """No further epoch is to begin. False while the state at hand is not yet the program's, which belongs
        to where that was taken, and decides there."""
        return self._replica.ledger.finishing and self._places.wanted is None

    @property
    def step(self) -> int:
        """Steps that are committed here."""
        return self._replica.position.committed

    def foreseen(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """See Ledger.foreseen."""
        with self._monitor:
            ledger, holder = self._replica.ledger, self._replica.holder
        return ledger.foreseen(holder)

    @property
    def standing(self) -> tuple[int, int]:
        """Rank and size of the formation, the last one where there is none."""
        return self._stepping.formations.standing

    def leave_loops(self) -> None:
        """The program has left its loops for good.

        Raises:
            SystemExit: its state is of another place.
        """
        self._places.here = OVER
        self._stepping.rounds.leave()
        self._arrive()
        if self._places.elsewhere:
            self.give_way()
        self._keeping.at_the_end()

    def give_way(self) -> NoReturn:
        """The program is beyond where its state belongs, and cannot go back: it has to begin again."""
        if self._resting.remembers:
            self._keeping.at_restart()
        raise SystemExit(RESTART_STATUS)

    def hold_on(self, seconds: float) -> bool:
        """Stay for so long with the trained state, and help the others over the last step; true: try again.

        Raises:
            SystemExit: the supervisor asked to stop, or is gone, or the state is to go back in time.
        """
        orders, due = self._orders, time.monotonic() + seconds
        self._arrive()
        self._wait(lambda: orders.stop or orders.closed or time.monotonic() >= due, look=LOOK_SECONDS)
        if orders.stop or orders.closed:
            raise SystemExit(0 if orders.stop else 1)
        return True

    def finish(self, model_path: str, digest: str, not_pushed: str | None = None) -> None:
        """Tell where the model is, and stay to help the others over the last step until told to stop."""
        self._keeping.wait()
        self.send(Finished(model_path, digest, not_pushed))
        self._arrive()
        self._wait(lambda: self._orders.stop or self._orders.closed)

    def close(self) -> None:
        """Before the process ends: what was said has been handed over."""
        self._speaker.flush()

    # --- at the boundary

    def _arrive(self) -> None:
        self.meter.enter("wait")
        self._resting.put_back()
        with self._monitor:
            self._resting.park()
            self._resting.wait_for_captures()
        self._keeping.at_boundary()

    def _stand(self, done: Callable[[], bool]) -> None:
        """Stay here, without a step of the program's."""
        self._arrive()
        self._wait(done, steps=False)

    def _wait(
        self, done: Callable[[], bool], look: float | None = None, *, steps: bool = True
    ) -> StepAssignment | None:
        """`look`: seconds after which `done` may have changed without a word; `steps`: whether the program
        can take one."""
        while True:
            with self._monitor:
                self._resting.park()
                self._resting.wait_undisturbed()
                found = self._find(done, steps)
                if found is None:
                    self._monitor.wait(look or self._stepping.rounds.look_seconds)
                    continue
                self._resting.leave()
            if isinstance(found, Go):
                return found.assignment
            found()

    @held
    def _find(self, done: Callable[[], bool], steps: bool) -> Job | Go | None:
        if job := self._jobs.first():
            return job
        if done():
            return Go(None)
        if self._places.here.over or not steps:
            # It may have left its loops early, and takes no step of the epochs that it has left out.
            self._stepping.catch_up.tell(self._replica.position)
        elif assignment := self._stepping.next_assignment(self._places.here.epoch):
            return Go(assignment)
        return self._jobs.before_a_step()
