"""What a step brings together."""

from enum import IntEnum


class StepKind(IntEnum):
    """All members take the same kinds in the same order, since they run the same program."""

    BATCH = 0
    """The gradients of the next batch. It alone moves the record of the data."""
    AGAIN = 1
    """Further gradients of the batch in hand, as of a program with two models and an optimiser for each."""
    NUMBERS = 2
    """Numbers that the program asks for: each member's row, on every member."""

    MERGE = 3
    """What the aggregator's envoy proposes: a version of the model that groups share, a push, data."""

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    StepKind.BATCH: "the first backward of a batch",
    StepKind.AGAIN: "a further backward of its batch",
    StepKind.NUMBERS: "a mean, sum, gather, agreement or barrier",
    StepKind.MERGE: "what groups do together, between its batches",
}
