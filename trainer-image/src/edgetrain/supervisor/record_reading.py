"""Records of votes as they are read, from the disk and from other supervisors."""

from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter

from edgetrain.group.record import Record
from edgetrain_protocol.history import first_of


def _named(document: Any) -> Any:
    """A record of a version before groups names its lineage alone."""
    if isinstance(document, dict) and "history" not in document and isinstance(document.get("lineage"), int):
        return {**document, "history": first_of(document["lineage"])}
    return document


RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, BeforeValidator(_named)])
