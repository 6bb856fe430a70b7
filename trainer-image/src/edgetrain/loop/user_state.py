"""Numbers and texts of the program's own that go along with its state."""

from collections.abc import MutableMapping
from types import FrameType
from typing import Any

from edgetrain.engine.errors import BadProgram

_VARIABLES = "variables of the program"


class UserState(dict[str, Any]):
    """A dict whose values can be saved: numbers, texts, tensors, lists and dicts of them."""

    def __init__(self) -> None:
        super().__init__()
        self._namespace: MutableMapping[str, Any] = {}
        """Of the program's module."""
        self._variables: dict[str, None] = {}

    def keep(self, frame: FrameType, names: tuple[str, ...]) -> None:
        """From now on these variables of the module that `frame` is of go along too.

        Raises:
            BadProgram: they are a function's, which nobody can set from without, or are not there.
        """
        if frame.f_locals is not frame.f_globals:
            raise BadProgram(
                f"session.keep was called in {frame.f_code.co_name}(): only a module's own variables can be "
                "put back from without; put these into session.state"
            )
        if missing := [name for name in names if name not in frame.f_globals]:
            raise BadProgram(
                f"session.keep got {', '.join(missing)}, which has no value yet: give it one before"
            )
        self._namespace = frame.f_globals
        self._variables |= dict.fromkeys(names)

    def state_dict(self) -> dict[str, Any]:
        kept = {name: self._namespace[name] for name in self._variables}
        return {**self, _VARIABLES: kept} if kept else dict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        kept = state.get(_VARIABLES, {})
        self._namespace.update({name: kept[name] for name in self._variables if name in kept})
        self.clear()
        self.update({name: value for name, value in state.items() if name != _VARIABLES})
