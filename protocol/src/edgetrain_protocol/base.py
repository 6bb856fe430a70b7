"""How every document is read and written: camelCase on the wire, snake_case in code, frozen in memory."""

from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
"""A Kubernetes object's name."""

ShortText = Annotated[str, StringConstraints(max_length=256)]
LongText = Annotated[str, StringConstraints(max_length=4096)]

Port = Annotated[int, Field(ge=1, le=65535)]

MOST_COUNTED = 2**53 - 1
Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]
"""What one of our programs counts. Beyond it JSON's and Prometheus' numbers are not exact, and no counter of
ours gets there: a larger one in a report is refused, or it would end whoever makes a float of it."""
Quantity = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
"""What one of our programs measures: seconds, rates."""
Moment = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
"""Unix time, seconds."""
Reading = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
"""Of a sensor, which may be out of order."""

Logged = Annotated[float, Field(ge=-1e18, le=1e18, allow_inf_nan=False)]
"""What a program logs under a name of its own."""
MOST_LOGGED = 24
"""Names of them."""


def within(least: int, most: int) -> AfterValidator:
    """For what others may write over what we have written: never an error."""
    return AfterValidator(lambda value: min(max(value, least), most))


Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], FailFast()]
"""The first that is wrong is told: to list what is wrong with each of ten thousand takes seconds."""
Named = Annotated[dict[ShortText, Item], FailFast()]


class Document(BaseModel):
    """A frozen document; unknown fields are refused, so that a typing error never passes for a setting."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON types under the names that go over the wire."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Tolerant(Document):
    """A document between versions of our own programs: what a newer peer added is passed over."""

    model_config = ConfigDict(extra="ignore")

    @classmethod
    def from_wire(cls, data: str | bytes) -> Self:
        """Read JSON.

        Raises:
            pydantic.ValidationError: the text is not such a document.
        """
        return cls.model_validate_json(data)
