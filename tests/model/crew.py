"""A group as rounds see it: members that do turns, one of whom is the envoy. Parameters are sums of named
steps."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Self

from edgetrain.data import Block
from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Contribution
from edgetrain.rounds.envoy import Envoy, EnvoyRules, Ledger
from edgetrain.rounds.mass import MassRules
from edgetrain.rounds.turn import Apply, Held, Outcome, Place, Step, Turn, TurnRules
from edgetrain_protocol.history import History
from tests.model.search import Violation


class Trained(NamedTuple):
    """A step of a group on one position, as a contribution to its update `seq`: the same position may come
    again in a later one, after a return."""

    history: History
    seq: int
    position: int


@dataclass(frozen=True)
class Mass:
    """A sum of steps with coefficients: what parameters are, but for the values of the steps."""

    parts: tuple[tuple[Trained, Fraction], ...] = ()

    def _plus(self, other: Self, sign: int) -> Self:
        found = dict(self.parts)
        for step, coefficient in other.parts:
            found[step] = found.get(step, Fraction()) + sign * coefficient
        return replace(self, parts=tuple(sorted((s, c) for s, c in found.items() if c)))

    def __add__(self, other: Self) -> Self:
        return self._plus(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._plus(other, -1)

    def __truediv__(self, number: int) -> Self:
        return replace(self, parts=tuple((step, c / number) for step, c in self.parts))


def steps(history: History, seq: int, blocks: tuple[Block, ...]) -> Mass:
    positions = (position for start, stop in blocks for position in range(start, stop))
    return Mass(tuple(sorted((Trained(history, seq, position), Fraction(1)) for position in positions)))


def work(ledger: Ledger) -> Mass:
    """What its group has done since the base, by its ledger."""
    flying = ledger.in_flight
    before = steps(ledger.history, flying.key.seq, flying.blocks) if flying else Mass()
    return before + steps(ledger.history, ledger.seq + 1, ledger.blocks)


class AllRules(NamedTuple):
    envoy: EnvoyRules
    turn: TurnRules
    mass: MassRules


@dataclass(frozen=True)
class Mate:
    place: Place
    ledger: Ledger
    theta: Mass
    pushed: Mass
    """Parameters at the last push, or at the base where nothing is in flight."""
    alive: bool = True


NO_ENVOY = Envoy()


@dataclass(frozen=True)
class Crew:
    mates: tuple[Mate, ...]
    envoy: Envoy = NO_ENVOY
    speaker: int = 0
    """Which mate is the envoy."""
    lineage: int = 1
    """In which it was founded, whatever it is called."""
    attempt: int = 0
    """Rises with each envoy: each encodes anew, with other bytes."""
    formation: int = 0
    turn: Turn | None = None
    resumed: bool = False
    """The turn in doubt is applied by the word of the formation."""
    turns: tuple[Turn, ...] = ()
    """Committed by somebody."""
    trained: frozenset[Trained] = frozenset()

    @property
    def living(self) -> tuple[Mate, ...]:
        return tuple(mate for mate in self.mates if mate.alive)

    @property
    def foremost(self) -> Mate:
        """Of those alive; of all where none is."""
        return max(self.living or self.mates, key=lambda mate: mate.place.committed)

    @property
    def ledger(self) -> Ledger:
        return self.foremost.ledger

    @property
    def history(self) -> History:
        return self.ledger.history

    @property
    def even(self) -> bool:
        """All stand at one boundary."""
        return len({mate.place.committed for mate in self.living}) == 1

    def contribution(self) -> Contribution | None:
        """What its envoy pushes: as the members' boundary is even, of its own ledger."""
        flying = self.mates[self.speaker].ledger.in_flight
        if not flying or not self.mates[self.speaker].alive:
            return None
        digest = f"{flying.key.history.group}{flying.key.seq} of {self.lineage} by {self.attempt}"
        count = len(flying.blocks)
        return Contribution(flying.key, digest, flying.base, flying.blocks, count, self.attempt)

    # --- turns

    def begins(self, books: Books, known: int, rules: AllRules) -> Self | None:
        """The formation's next turn, by what its envoy knows."""
        if self.turn or self.resumed or not self.living or not self.even:
            return None
        deed = self.envoy.next_deed(self.ledger, books, known, rules.envoy, 1)
        turn = deed and Turn(self.foremost.place.committed + 1, deed, known)
        return replace(self, turn=turn) if turn else None

    def prepares(self, index: int) -> Self | None:
        mate = self.mates[index]
        if not self.turn or not mate.alive or mate.place.committed >= self.turn.number:
            return None
        held = Held(self.formation, self.turn)
        return (
            self._put(index, replace(mate, place=replace(mate.place, held=held)))
            if mate.place.held != held
            else None
        )

    def commits(self, index: int, model: Mass | None, rules: AllRules) -> Self | None:
        """`model` is the version to apply, for a turn that does."""
        mate, held = self.mates[index], self.mates[index].place.held
        if not mate.alive or not held or held.turn.number != mate.place.committed + 1:
            return None
        places = [other.place for other in self.living]
        ours = self.turn is not None and held == Held(self.formation, self.turn)
        if not (self.resumed or (ours and rules.turn.may_commit(places, held))):
            return None
        after = self._put(index, self._done(mate, held.turn, model, rules))
        return after._noted(held.turn)._over()

    def _done(self, mate: Mate, turn: Turn, model: Mass | None, rules: AllRules) -> Mate:
        ledger, theta, pushed = mate.ledger.after(turn), mate.theta, mate.pushed
        match turn.deed:
            case Step(blocks):
                theta = theta + steps(ledger.history, ledger.seq + 1, blocks)
            case Apply():
                assert model is not None
                theta, pushed = rules.mass.rebased(theta, model, pushed), model
        if ledger.in_flight is None and ledger.blocks:
            ledger, pushed = ledger.pushed(), theta
        return Mate(Place(turn.number), ledger, theta, pushed)

    def _noted(self, turn: Turn) -> Self:
        trained = self.trained | {step for step, _ in work(self.ledger).parts}
        if len(self.mates) == 1:
            return replace(self, trained=trained)
        if turn.number <= len(self.turns):
            if self.turns[turn.number - 1] != turn:
                raise Violation(f"{turn} is {self.turns[turn.number - 1]} for another member")
            return self
        return replace(self, turns=(*self.turns, turn), trained=trained)

    def _over(self) -> Self:
        """Once all have committed."""
        return replace(self, turn=None, resumed=False) if self.even else self

    # --- faults

    def breaks(self, lost: int | None, rules: AllRules) -> Self:
        """The formation breaks, perhaps with a mate, and those alive form the next one."""
        crew = self
        if lost is not None:
            crew = crew._put(lost, replace(self.mates[lost], alive=False))
        crew = replace(crew, formation=crew.formation + 1, turn=None, resumed=False)
        if lost == self.speaker and crew.living:
            speaker = next(i for i, mate in enumerate(crew.mates) if mate.alive)
            crew = replace(crew, speaker=speaker, envoy=Envoy(), attempt=crew.attempt + 1)
        places = [mate.place for mate in crew.living]
        if not places or rules.turn.outcome(places) is Outcome.DROP:
            return crew
        low = min(place.committed for place in places)
        if any(p.committed == low and rules.turn.tag(p) is None for p in places):
            raise Violation(f"turn {low + 1} was committed, and somebody does not hold it")
        return replace(crew, resumed=True)

    def _put(self, index: int, mate: Mate) -> Self:
        return replace(self, mates=(*self.mates[:index], mate, *self.mates[index + 1 :]))
