"""A runtime as it was at one time: what the operator knows of it, and what a job keeps of it."""

from collections.abc import Mapping
from typing import Any

from edgetrain_protocol.base import Name, ShortText, Tolerant
from edgetrain_protocol.runtime import RuntimeSpec


class RuntimeVersion(Tolerant):
    name: Name
    uid: ShortText
    generation: int
    spec: dict[str, Any]
    """As it was written: what it says is told from what it does not."""

    def read(self) -> RuntimeSpec:
        """Raises:
        pydantic.ValidationError: spec is not one that this version of the operator knows.
        """
        return RuntimeSpec.model_validate(self.spec)

    def how_to_shrink(self) -> str:
        """To be added to how a job's plan gets smaller, of which it is a part."""
        return f", or have runtime {self.name} say less (now {len(self.model_dump_json())} bytes)"


def runtime_version(raw: Mapping[str, Any]) -> RuntimeVersion:
    """Of the object as the API server gives it."""
    meta = raw["metadata"]
    return RuntimeVersion(
        name=meta["name"], uid=meta["uid"], generation=meta["generation"], spec=raw.get("spec") or {}
    )
