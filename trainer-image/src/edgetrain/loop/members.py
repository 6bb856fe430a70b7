"""What a program asks all members of its group, or is told of them."""

import torch

from edgetrain.loop.program import Program


class Members:
    """`mean`, `sum`, `gather`, `agree` and `barrier` are to be called by all of them, as often and in the
    same order. Members who join are given what they came to before they were there."""

    _program: Program

    @property
    def alone(self) -> bool:
        """Whether the program runs without a job."""
        return self._program.link is None

    @property
    def catching_up(self) -> bool:
        """Whether it goes through its loops to where the others are: it trains on nothing until then, and may
        spare itself evaluations."""
        return self._program.places.elsewhere

    @property
    def finishing(self) -> bool:
        """Whether the job ends early, by its spec.runPolicy.stopWhen: all members see it from the same step
        on, and may leave their loops by it. A loop over `session.epochs` ends by itself, before its next
        epoch. False while this one is on its way to where the others are, and alone."""
        return self._program.finishing

    def passes_behind(self) -> int:
        """For frameworks that count epochs themselves, before the first pass: how many the job has behind
        it."""
        return self._program.passes_behind()

    @property
    def rank(self) -> int:
        """This member's number in its group at this moment, from 0; it may be another after a loss."""
        return self._program.steps.engine.standing[0] if self._program.steps else 0

    @property
    def size(self) -> int:
        """Members of the group at this moment."""
        return self._program.steps.engine.standing[1] if self._program.steps else 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one member that prints, or writes what is to be there once."""
        return self.rank == 0

    def mean(self, value: float | torch.Tensor) -> float:
        """Of all members' values."""
        (column,) = self._combined(number_of(value))
        return sum(column) / len(column)

    def sum(self, value: float | torch.Tensor) -> float:
        """Of all members' values."""
        return sum(self._combined(number_of(value))[0])

    def gather(self, value: float | torch.Tensor) -> list[float]:
        """All members' values, by rank."""
        return self._combined(number_of(value))[0]

    def agree(self, vote: bool) -> bool:
        """Whether more than half of the members say so: all get the same answer, and may leave their loops
        by it. False while this one is on its way to where the others are, which have gone on, and after a
        batch that has come to nothing and comes again."""
        with self._program.reported():
            found = self._program.running.combine([float(vote)])
        votes = found[0] if found else []
        return 2 * sum(votes) > len(votes)

    def barrier(self) -> None:
        """Return once all members are here."""
        self._combined()

    def _combined(self, *numbers: float) -> list[list[float]]:
        with self._program.reported():
            found = self._program.running.combine(numbers)
        return [[number] for number in numbers] if found is None else found


def number_of(value: float | torch.Tensor) -> float:
    """As a plain number, whatever a program has it in."""
    # Detached first: torch warns of a number taken from a tensor that is part of a graph, as a loss is.
    return float(value.detach()) if isinstance(value, torch.Tensor) else float(value)
