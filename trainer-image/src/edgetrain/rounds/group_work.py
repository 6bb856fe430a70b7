"""Where a group is in rounds, as all its members hold it: a part of what they commit with each step. Pure."""

from dataclasses import dataclass, replace
from typing import Self

from edgetrain.data import Block
from edgetrain.rounds.blocks import without
from edgetrain.rounds.envoy import Ledger
from edgetrain_protocol.strategy import RoundPayload


@dataclass(frozen=True)
class GroupWork:
    ledger: Ledger
    untrained: tuple[Block, ...] = ()
    """Leased to it, and not trained on: its next steps are on these, in this order."""
    steps: int = 0
    """That its optimiser took since the push, or since the base."""
    flying_steps: int = 0
    """Those that are in flight."""
    samples: int = 0
    """Of `steps`."""
    flying_samples: int = 0
    proximal: float = 0.0
    """How strongly its steps are pulled back to its base, as the log says: all its members do the same."""
    over: bool = False
    """Nothing is left to do for it in any epoch."""
    version: int = 0
    """The newest that its envoy had read of; so with those below."""
    merged: int = 0
    """Positions that versions contain, of `total` in all epochs; of data of its own there are none."""
    total: int = 1
    groups: int = 0
    """That take part."""

    @property
    def settled(self) -> bool:
        """All that it has done is in versions, or will be in none."""
        return self.ledger.in_flight is None and not self.steps

    def stepped(self, blocks: tuple[Block, ...], samples: int) -> Self:
        """A step on these, or on so many samples of data of its own, was committed."""
        left, steps, samples = without(self.untrained, blocks), self.steps + 1, self.samples + samples
        return replace(self, ledger=self.ledger.stepped(blocks), untrained=left, steps=steps, samples=samples)

    def applied(self, version: int) -> Self:
        """It settles what was in flight, where something was."""
        return replace(self, ledger=self.ledger.applied(version), flying_steps=0, flying_samples=0)

    def pushed(self, payload: RoundPayload = RoundPayload.FP32) -> Self:
        """What was done since goes on its way."""
        return replace(
            self,
            ledger=self.ledger.pushed(payload),
            steps=0,
            flying_steps=self.steps,
            samples=0,
            flying_samples=self.samples,
        )

    def differs(self, other: Self) -> bool:
        """In anything that its members act on."""
        own, theirs = (
            replace(work, ledger=replace(work.ledger, known=0), version=0, merged=0, total=1, groups=0)
            for work in (self, other)
        )
        return own != theirs
