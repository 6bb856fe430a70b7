"""All EdgeTrainingRuntimes: fed by the watch, swept by a periodic list, as nodes are."""

from collections.abc import Iterable

from edgetrain_operator.core.observe import Raw
from edgetrain_operator.core.runtimes.version import RuntimeVersion, runtime_version
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.resources import RUNTIMES


class RuntimeTable:
    def __init__(self) -> None:
        self._runtimes: dict[str, RuntimeVersion] = {}

    async def find(self, kube: Kube, name: str) -> RuntimeVersion | None:
        """One that is not known is asked for: it may have been made in the same breath as its job."""
        if name not in self._runtimes and (raw := await kube.find(RUNTIMES, name)):
            self.put(raw)
        return self._runtimes.get(name)

    def put(self, raw: Raw) -> str | None:
        """Take over a runtime as it was read. Its name; None where nothing changed."""
        after = runtime_version(raw)
        before = self._runtimes.get(after.name)
        self._runtimes[after.name] = after
        return None if before == after else after.name

    def drop(self, name: str) -> str | None:
        return name if self._runtimes.pop(name, None) else None

    def sweep(self, raws: Iterable[Raw]) -> list[str]:
        """Take over a full list; those that are not in it are gone. Names of those that changed."""
        listed = {raw["metadata"]["name"]: raw for raw in raws}
        gone = [name for name in list(self._runtimes) if name not in listed and self.drop(name)]
        return [*gone, *filter(None, map(self.put, listed.values()))]
