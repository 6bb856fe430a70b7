"""What becomes of work when versions are made and applied: of anything that can be added and subtracted.

`theta` are parameters. A group's work since its base is `theta - base`; a push at some boundary keeps
`pushed`, the parameters there, and sends `pushed - base`.
"""

from collections.abc import Iterable
from typing import Protocol, Self, TypeVar


class Vector(Protocol):
    def __add__(self, other: Self, /) -> Self: ...

    def __sub__(self, other: Self, /) -> Self: ...

    def __truediv__(self, number: int, /) -> Self: ...


V = TypeVar("V", bound=Vector)


class MassRules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def merged(self, parent: V, updates: Iterable[V], groups: int) -> V:
        """The version after `parent`. Each update counts one part in `groups`, all that are on the books.

        Not the mean of those present: a step would count for more the fewer others are in time.
        """
        version = parent
        for update in updates:
            version = version + update / groups
        return version

    def rebased(self, theta: V, version: V, pushed: V) -> V:
        """The parameters once `version` is applied, with all steps taken since `pushed`.

        `pushed` are those of the push that is settled with it, or of the base where nothing is in flight. The
        delta rule of hivemind (`delta_rule_averaging`): published systems overwrite or mix instead, and lose
        those steps.
        """
        return theta + (version - pushed)
