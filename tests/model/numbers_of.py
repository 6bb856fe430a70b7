"""Things by number: a state of a few small integers is quickly told from another."""

from typing import Any


class Numbers:
    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._things: list[Any] = []

    def number(self, thing: Any) -> int:
        found = self._numbers.get(thing)
        if found is None:
            found = self._numbers[thing] = len(self._things)
            self._things.append(thing)
        return found

    def thing(self, number: int) -> Any:
        return self._things[number]
