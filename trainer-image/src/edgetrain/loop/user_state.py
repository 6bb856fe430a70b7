"""Numbers and texts of the program's own that go along with its state."""

from collections.abc import Mapping, MutableMapping
from types import FrameType
from typing import Any

import torch

from edgetrain.engine.errors import BadProgram

_VARIABLES = "variables of the program"
_NOTHING = object()


class UserState(dict[str, Any]):
    """A dict whose values can be saved: numbers, texts, tensors, lists and dicts of them."""

    def __init__(self) -> None:
        super().__init__()
        self._homes: dict[str, MutableMapping[str, Any]] = {}
        """Of variables that go along, the modules that they are of."""

    def keep(self, frame: FrameType, names: tuple[str, ...]) -> None:
        """From now on these variables of the module that `frame` is of go along too.

        Raises:
            BadProgram: they are a function's, which nobody can set from without, or are not there, or are of
                two modules.
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
        for name in names:
            if self._homes.setdefault(name, frame.f_globals) is not frame.f_globals:
                raise BadProgram(f"session.keep got {name} of two modules: give one of them another name")

    def state_dict(self) -> dict[str, Any]:
        found = {name: home.get(name, _NOTHING) for name, home in self._homes.items()}
        kept = {name: value for name, value in found.items() if value is not _NOTHING}
        return {**self, _VARIABLES: kept} if kept else dict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        kept = state.get(_VARIABLES, {})
        for name, home in self._homes.items():
            if name in kept:
                home[name] = _like(home.get(name), kept[name])
        self.clear()
        self.update({name: value for name, value in state.items() if name != _VARIABLES})


def _like(present: Any, saved: Any) -> Any:
    """What was saved, as what is there: in the same dict or list, of its kind, and on its device."""
    if isinstance(present, MutableMapping) and isinstance(saved, Mapping):
        present.clear()
        present.update(saved)
        return present
    if isinstance(present, list) and isinstance(saved, list):
        present[:] = saved
        return present
    if isinstance(present, torch.Tensor) and isinstance(saved, torch.Tensor):
        return saved.to(present.device).requires_grad_(present.requires_grad)
    return saved
