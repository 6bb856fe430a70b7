"""Where the story of a demo stands. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgelab.demo.acts import Act
from edgetrain_protocol.status import JobStatus


@dataclass
class Script:
    acts: Sequence[Act]
    index: int = 0
    node: str | None = None
    before: JobStatus = field(default_factory=JobStatus)
    """When the act under way began."""

    def advance(self, status: JobStatus) -> tuple[Act, str] | None:
        """The act to perform now, with its node; None while there is nothing to do.

        Returns each act once; `settled` moves on to the next.
        """
        if self.index >= len(self.acts) or self.node is not None or not self.acts[self.index].due(status):
            return None
        act = self.acts[self.index]
        self.node, self.before = act.target(status), status
        return act, self.node

    def settled(self, status: JobStatus) -> str | None:
        """What to say once the act under way has been overcome; None until then."""
        if self.node is None or not self.acts[self.index].overcome(status, self.node, self.before):
            return None
        said = self.acts[self.index].said_after.format(node=self.node)
        self.index, self.node = self.index + 1, None
        return said

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Names of acts that were not overcome."""
        return tuple(act.name for act in self.acts[self.index :])
