"""How a job has its runtime: which version of it, and what stands in the way."""

from dataclasses import dataclass

from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_protocol.job import JobSpec


@dataclass(frozen=True)
class RuntimeUse:
    name: str
    written: JobSpec
    """What the job says by itself."""
    version: RuntimeVersion | None = None
    """The one that it has."""
    newest: RuntimeVersion | None = None
    """As the runtime is now; None where it is gone."""
    reason: str = ""
    """Why no worker is made, in one word; empty where nothing is in the way."""
    message: str = ""

    @property
    def outdated(self) -> bool:
        """Whether the runtime has changed, or gone, since the job has it."""
        return self.version is not None and self.version != self.newest
