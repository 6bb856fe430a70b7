"""A group among others, at its members' loop boundary: what its aggregator's envoy proposes, all of them do.

A proposal is a step like any other: prepared by all, voted, committed, kept for who follows. So members never
differ in which version they have applied, which work is on its way, and which data are theirs.
"""

import time
from collections.abc import Callable

import msgspec
import torch

from edgetrain.aggregator.client import HolderClient
from edgetrain.aggregator.model import Founding, Layout
from edgetrain.aggregator.vectors import digest_of
from edgetrain.credentials import Credentials
from edgetrain.engine.errors import BadProgram
from edgetrain.engine.formation.active_formation import ActiveFormation
from edgetrain.engine.formation.proposals import Told
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import hash_of
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.shared_vector import SharedVectors, tensor_of
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain.envoy.group_envoy import GroupEnvoy
from edgetrain.link import Exchanged, Message, RoundTerms
from edgetrain.rounds.envoy import Ledger as WorkLedger
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.leasing import Want
from edgetrain_protocol.history import NO_HISTORY, History

IDLE_SECONDS = 0.5
"""A group with nothing to train on votes so often: on a plan that has come, and for members that come in."""
LEASED_ROUNDS = 3
"""Of local steps: so much a group has, with what is under way, that it does not run dry meanwhile."""
NOT_TO_BE_LEASED = (
    "groups that train one model share out data by the sample: give session.loader a data set with a length, "
    "or a DataLoader over one, the same on every worker; or let each worker have data of its own "
    "(local=True); or let spec.strategy.grouping be all"
)
ONE_LOOP = (
    "groups that train one model have to know how long they train: go through the loader in one loop over "
    "session.epochs(...), or let spec.strategy.grouping be all"
)


NOT_BEGUN = GroupWork(WorkLedger(NO_HISTORY, 0))


class InRounds:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        monitor: Monitor,
        replica: ReplicaState,
        vectors: SharedVectors,
        layout: list[str],
        credentials: Credentials,
        send: Callable[[Message], None],
    ) -> None:
        self._monitor, self._replica, self._vectors = monitor, replica, vectors
        self._layout = hash_of(layout)
        """All that groups must have alike."""
        self._credentials, self._send = credentials, send
        self._terms: RoundTerms | None = None
        self._envoy: GroupEnvoy | None = None
        """Of the aggregator."""
        self._history = NO_HISTORY
        """For which it speaks."""
        self._news = False
        """It may propose something."""
        self._look_at = 0.0
        """When a group with nothing to do is to vote again."""
        self._told: Exchanged | None = None
        self._spent = False
        """The program has come to the end of all data of its own."""

    # --- at the boundary, with the monitor held

    @property
    def look_seconds(self) -> float | None:
        """After which it is to be looked whether there is something to do, though nobody has said so."""
        return IDLE_SECONDS if self._terms else None

    @held
    def trains(self, active: ActiveFormation) -> bool:
        """Whether the next step is one on data: always, for a group that is alone.

        Raises:
            BadProgram: its data are none that groups share.
        """
        ledger, self._terms = self._replica.ledger, active.form.terms.rounds
        if self._terms is None:
            return True
        if self._replica.open_ended:
            raise BadProgram(ONE_LOOP)
        if ledger.record.at_once:
            raise BadProgram(NOT_TO_BE_LEASED)
        ready = self._begun(active) and not ledger.idle and not self._spent
        return ready and not self._replica.merge_due

    @held
    def lets_go(self, epoch: int, *, spent: bool) -> bool:
        """Whether the program is to leave this epoch, on all data of which it has trained: `spent`. The last
        of data of its own it leaves with the last version, which contains what all others have trained."""
        ledger = self._replica.ledger
        last = epoch + 1 >= ledger.epochs and not ledger.finishing
        waits = ledger.common and last and ledger.work is not None and not ledger.work.over
        self._spent = spent and waits
        return spent and not waits

    @held
    def due(self, active: ActiveFormation) -> bool:
        """Where it is not: whether this member is to take its part in a step that merges now."""
        if self.trains(active):
            return False
        if self._replica.merge_due:
            return True
        # The others are there already, and wait for the aggregator.
        return not active.leads or self._news or time.monotonic() >= self._look_at

    def has_news(self, active: ActiveFormation, kind: StepKind) -> bool:
        """For the aggregator's vote on a step of this kind: whether its envoy may propose something after
        it."""
        with self._monitor:
            terms, work, news = active.form.terms.rounds, self._replica.ledger.work, self._news
        if terms is None or work is None or not active.leads:
            return False
        # Without a batch in between, what it has just been asked it would be asked again and again.
        full = work.ledger.in_flight is None and work.steps + 1 >= terms.local_steps
        return news or (kind is StepKind.BATCH and (full or self._history != active.id.history))

    @held
    def _begun(self, active: ActiveFormation) -> bool:
        """Whether this history of the group is on the books."""
        work = self._replica.ledger.work
        return work is not None and work.ledger.history == active.id.history

    # --- a step that merges

    def proposal(self, active: ActiveFormation) -> Told:
        """What this member brings in: nothing unless it leads, or where its envoy knows of nothing."""
        with self._monitor:
            ledger, self._news, self._look_at = self._replica.ledger, False, time.monotonic() + IDLE_SECONDS
        work = ledger.work
        if not active.leads or (work and work.over and work.ledger.history == active.id.history):
            self.leave()
            return Told()
        envoy = self._attended(active.id.history, ledger)
        if work and work.ledger.history == active.id.history:
            envoy.carry(work, self._vectors.update, active.id.number)
        found = envoy.proposal(work, self._rounds.local_steps, spent=self._spent)
        self._tell(found.work if found else work, envoy)
        if found is None:
            return Told()
        text = msgspec.json.encode(found.work)
        return Told(text, torch.empty(0) if found.version is None else tensor_of(found.version))

    @held
    def after(self, ledger: Ledger, told: Told) -> Ledger:
        """Once this is committed."""
        if not told.text:
            return ledger.at_rest()
        return ledger.merged(msgspec.json.decode(told.text, type=GroupWork))

    def follow(self, before: GroupWork | None, entry: Entry) -> None:
        """It is committed: the parameters move."""
        after, version = entry.ledger.work, entry.total.numpy() if entry.total.numel() else None
        if after is None:
            return
        self._vectors.follow(before, after, version)
        if after.over:
            # Holders end when all have: nothing is asked of them any more.
            self.leave()
        elif self._envoy and self._history == after.ledger.history:
            self._envoy.carry(after, self._vectors.update, entry.formation.number)

    def leave(self) -> None:
        """From now on this member does not speak for the group."""
        if self._envoy:
            self._envoy.stop()
            self._envoy, self._history = None, NO_HISTORY

    # --- the envoy

    def _attended(self, history: History, ledger: Ledger) -> GroupEnvoy:
        """The envoy for this history of the group; who is there already is of another."""
        if self._envoy and self._history == history:
            return self._envoy
        self.leave()
        initial, samples = self._vectors.parameters.take(), 0 if ledger.common else ledger.record.samples
        layout = Layout(len(initial), self._layout, self._vectors.statistics)
        founding = Founding(layout, samples, ledger.epochs, digest_of(initial))
        want = Want(LEASED_ROUNDS * ledger.batch * self._rounds.local_steps, ledger.batch)
        self._envoy = GroupEnvoy(self._dial, history, founding, initial, want, self._hear)
        self._history = history
        return self._envoy

    def _tell(self, work: GroupWork | None, envoy: GroupEnvoy) -> None:
        work = work or NOT_BEGUN
        numbers = work.version, work.ledger.base, work.merged, work.total, work.groups
        told = Exchanged(*numbers, envoy.trouble, envoy.ended)
        if told != self._told:
            self._told = told
            self._send(told)

    def _hear(self) -> None:
        """By a thread of the envoy's."""
        with self._monitor:
            self._news = True
            self._monitor.notify_all()

    def _dial(self) -> HolderClient:
        return HolderClient(lambda: self._rounds.holders, self._credentials)

    @property
    def _rounds(self) -> RoundTerms:
        assert self._terms is not None
        return self._terms
